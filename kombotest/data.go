package kombotest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// dataset is the data of an integration.
type dataset struct {
	tables map[string]*table // by list.records
	// changed are the models that have changed since the last data-changed.
	changed []string
	// newest is the time of the last change. read is the time of the last list, never before newest at that moment.
	newest, read time.Time
}

// table has the records of a list.
type table struct {
	records []*dataRecord // in the order in which they were put first
	byID    map[string]*dataRecord
	made    int
}

// dataRecord is a record. Its body is never changed, only replaced.
type dataRecord struct {
	number       int // the position in the list
	id, remoteID string
	body         json.RawMessage
	firstPut     time.Time
	changedAt    time.Time
	deleted      bool
}

// PutRecord adds a record to the data of an integration, or replaces the one with the same id: an employee, a
// job. The path is that of the list that has it, such as "/hris/employees". The record is anything that
// encoding/json encodes as an object: a map, a struct, or JSON ([json.RawMessage]). If it has no id, it gets one that
// depends on its remote_id and the integration, as with the real Kombo. The server sets changed_at and remote_deleted_at. A
// record that is put again unchanged keeps its changed_at. The list serves the record at once;
// the next [Server.FinishSync] reports the change in data-changed.
//
// See [SampleRecords] for ready-made ones.
func (s *Server) PutRecord(integrationID, path string, record any) error {
	l, err := findList(path)
	if err != nil {
		return err
	}
	members, err := readRecord(record)
	if err != nil {
		return err
	}
	return s.changeData(integrationID, func(st *state, i *integration) error {
		return i.data.put(l, i.ID, members, st.now())
	})
}

// DeleteRecord deletes a record, as when it was deleted in the tool: the list serves it only with
// include_deleted, with the time in remote_deleted_at. The id is the record's id or remote_id. Records of lists without
// remote_deleted_at disappear. A record that is put again is no longer deleted.
func (s *Server) DeleteRecord(integrationID, path, id string) error {
	l, err := findList(path)
	if err != nil {
		return err
	}
	return s.changeData(integrationID, func(st *state, i *integration) error {
		return i.data.remove(l, id, st.now())
	})
}

// Records returns all records of a list, as the API serves them, including those that are deleted. It returns none for an
// unknown integration or list.
func (s *Server) Records(integrationID, path string) []json.RawMessage {
	records := []json.RawMessage{}
	l, err := findList(path)
	if err != nil {
		return records
	}
	s.withState(func(st *state) {
		if i, err := st.integration(integrationID); err == nil {
			for _, r := range i.data.table(l).records {
				records = append(records, bytes.Clone(r.body))
			}
		}
	})
	return records
}

// changeData changes the data of an integration.
func (s *Server) changeData(integrationID string, change func(*state, *integration) error) error {
	return s.change(s.context, func(st *state) error {
		i, err := st.integration(integrationID)
		if err != nil {
			return err
		}
		return change(st, i)
	})
}

// table returns the records of a list.
func (d *dataset) table(l list) *table {
	t, ok := d.tables[l.records()]
	if !ok {
		t = &table{byID: map[string]*dataRecord{}}
		if d.tables == nil {
			d.tables = map[string]*table{}
		}
		d.tables[l.records()] = t
	}
	return t
}

func (d *dataset) put(l list, integrationID string, members object, now time.Time) error {
	var id, remoteID *string
	if members.read("id", &id) != nil || members.read("remote_id", &remoteID) != nil {
		return errors.New("kombotest: the id or remote_id of the record is not a string")
	}
	if id == nil {
		if remoteID == nil {
			return errors.New("kombotest: the record has no id and no remote_id")
		}
		made := recordID(integrationID, *remoteID)
		id = &made
		members = slices.Insert(members.without("id"), 0, member{"id", made})
	}
	if *id == "" || strings.Contains(*id, ",") {
		return errors.New("kombotest: the id of the record is empty or contains a comma")
	}
	t := d.table(l)
	r, known := t.byID[*id]
	if known && !r.deleted && sameContent(r.body, members) {
		return nil
	}
	if !known {
		t.made++
		r = &dataRecord{number: t.made, id: *id, firstPut: now}
	}
	r.remoteID, r.deleted = "", false
	if remoteID != nil {
		r.remoteID = *remoteID
	}
	d.noteChange(l, r, now)
	if !l.untracked {
		members = members.with("changed_at", timeText(r.changedAt)).with("remote_deleted_at", nil)
	}
	body, err := encodeJSON(members, "")
	if err != nil {
		return fmt.Errorf("kombotest: the record: %w", err)
	}
	r.body = body
	if !known {
		t.records, t.byID[*id] = append(t.records, r), r
	}
	return nil
}

func (d *dataset) remove(l list, id string, now time.Time) error {
	t := d.table(l)
	r, ok := t.byID[id]
	if !ok {
		at := slices.IndexFunc(t.records, func(r *dataRecord) bool { return r.remoteID == id && id != "" })
		if at < 0 {
			return fmt.Errorf("kombotest: the integration has no record %q in %s", id, l.path)
		}
		r = t.records[at]
	}
	if r.deleted {
		return nil
	}
	d.noteChange(l, r, now)
	if l.untracked {
		delete(t.byID, r.id)
		t.records = slices.DeleteFunc(t.records, func(other *dataRecord) bool { return other == r })
		return nil
	}
	members, err := readRecord(r.body)
	if err != nil {
		return err
	}
	at := timeText(r.changedAt)
	r.deleted = true
	r.body, err = encodeJSON(members.with("changed_at", at).with("remote_deleted_at", at), "")
	return err
}

// noteChange sets the time of a change: now, or later if the data was read since, so that updated_after finds the
// change even if the clock stands still, or a test is faster than a millisecond.
func (d *dataset) noteChange(l list, r *dataRecord, now time.Time) {
	if !d.read.IsZero() {
		now = later(now, d.read.Add(time.Millisecond))
	}
	r.changedAt = now
	d.newest = later(d.newest, now)
	if l.model != "" && !slices.Contains(d.changed, l.model) {
		d.changed = append(d.changed, l.model)
	}
}

// recordID returns the id of a record. It depends on the integration and the remote id only, as Kombo documents.
func recordID(integrationID, remoteID string) string {
	hash := sha256.Sum256([]byte(integrationID + "\n" + remoteID))
	id := hash[:24]
	for i := range id {
		id[i] = idAlphabet[int(id[i])%len(idAlphabet)]
	}
	return string(id)
}

// readRecord returns the members of a record, in order.
func readRecord(record any) (object, error) {
	encoded, err := encodeJSON(record, "")
	if err != nil {
		return nil, fmt.Errorf("kombotest: the record: %w", err)
	}
	if !utf8.Valid(encoded) {
		return nil, errors.New("kombotest: the record is not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("kombotest: the record is not a JSON object")
	}
	var members object
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		members = members.with(name, value)
	}
	return members, nil
}

// sameContent reports whether a body has the same members, apart from the times that the server sets.
func sameContent(body json.RawMessage, members object) bool {
	canonical := func(members object) []byte {
		content := map[string]any{}
		for _, m := range members.without("changed_at").without("remote_deleted_at") {
			content[m.name] = m.value
		}
		encoded, _ := json.Marshal(content)
		decoder := json.NewDecoder(bytes.NewReader(encoded))
		decoder.UseNumber()
		var value any
		_ = decoder.Decode(&value)
		encoded, _ = json.Marshal(value) // now with sorted names
		return encoded
	}
	before, err := readRecord(body)
	return err == nil && bytes.Equal(canonical(before), canonical(members))
}

// with returns the object with a member, in its place if there is one of the name.
func (o object) with(name string, value any) object {
	if at := slices.IndexFunc(o, func(m member) bool { return m.name == name }); at >= 0 {
		o[at].value = value
		return o
	}
	return append(o, member{name, value})
}

func (o object) without(name string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == name })
}

// read decodes a member, if there is one.
func (o object) read(name string, value any) error {
	for _, m := range o {
		if encoded, ok := m.value.(json.RawMessage); ok && m.name == name {
			return json.Unmarshal(encoded, value)
		}
	}
	return nil
}
