package kombotest

import (
	_ "embed" // the records
	"encoding/json"
	"strings"
	"sync"
)

//go:embed records.json
var recordsFile []byte

// sampleRecords are the ready-made records by list. A string that begins with # is the id of what has the remote id after it.
var sampleRecords = sync.OnceValue(func() map[string]json.RawMessage {
	var samples map[string]json.RawMessage
	if err := json.Unmarshal(recordsFile, &samples); err != nil {
		panic(err) // it is part of the program
	}
	return samples
})

// SampleRecords returns ready-made records of a list for [Server.PutRecord]: a few each for /hris/employees, /hris/groups (and
// /hris/teams), /hris/absences, /hris/absence-types, /ats/jobs, /ats/candidates, /ats/applications and /lms/courses; none for other lists. They have
// all fields that Kombo documents as required, except changed_at and remote_deleted_at, which the server sets. They refer to each other: employees are
// in the groups, and applications are of the candidates. Their ids are those of the integration. The records are the caller's to change.
func SampleRecords(integrationID, path string) []map[string]any {
	l, err := findList(path)
	if err != nil {
		return nil
	}
	var records []map[string]any
	_ = json.Unmarshal(sampleRecords()[l.records()], &records) // nothing for other lists
	for _, record := range records {
		fillIDs(record, integrationID)
	}
	return records
}

// fillIDs replaces the references in a value.
func fillIDs(value any, integrationID string) any {
	switch value := value.(type) {
	case string:
		if remoteID, ok := strings.CutPrefix(value, "#"); ok {
			return recordID(integrationID, remoteID)
		}
	case []any:
		for i := range value {
			value[i] = fillIDs(value[i], integrationID)
		}
	case map[string]any:
		for name := range value {
			value[name] = fillIDs(value[name], integrationID)
		}
	}
	return value
}
