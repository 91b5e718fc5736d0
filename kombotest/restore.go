package kombotest

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/kombo-go/kombo"
)

// AddIntegration adds an integration as [Server.Integrations] of an earlier server has returned it, with its ID and its
// state. No webhook is sent. Its fields and custom fields are those of a new integration. One whose setup is
// incomplete has the setup steps filtering and field mapping.
//
// It fails if the integration has no ID, or there is one with this ID.
func (s *Server) AddIntegration(added Integration) error {
	var err error
	s.set(func(st *state) {
		switch _, exists := st.integrations[added.ID]; {
		case added.ID == "":
			err = errors.New("kombotest: the integration has no ID")
			return
		case exists:
			err = fmt.Errorf("kombotest: there is an integration %q already", added.ID)
			return
		}
		f := &flow{scopeConfigID: added.ScopeConfigID}
		f.Category, f.EndUser = cmp.Or(added.Category, kombo.CategoryHRIS), added.EndUser
		if added.SetupStatus == kombo.SetupStatusIncomplete && !hasOwnSetup(added.Tool) {
			f.setupSteps = []setupStep{stepFiltering, stepFieldMapping}
		}
		i := st.newIntegration(f, added.Tool)
		delete(st.integrations, i.ID)
		made := i.Integration
		i.Integration = added
		i.Category, i.State, i.ScopeConfigID = made.Category, cmp.Or(added.State, made.State), made.ScopeConfigID
		i.SetupStatus = cmp.Or(added.SetupStatus, made.SetupStatus)
		if i.SetupStatus != kombo.SetupStatusIncomplete {
			i.setupSteps = nil
		}
		if i.CreatedAt.IsZero() {
			i.CreatedAt = made.CreatedAt
		}
		i.UpdatedAt = later(i.UpdatedAt, i.CreatedAt)
		st.integrations[i.ID] = i
	})
	return err
}
