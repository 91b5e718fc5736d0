package kombotest

import (
	"context"
	"fmt"
	"time"

	"github.com/kombo-go/kombo"
)

// issueKey identifies an issue: an integration, or "" for the whole environment, has at most one of a type.
type issueKey struct {
	integrationID string
	issueType     kombo.IssueType
}

func newIssue(id string, issueType kombo.IssueType, now time.Time) kombo.Issue {
	return kombo.Issue{
		ID: id, Type: issueType, Title: "A sample issue", Status: kombo.IssueStatusOpen,
		MarkdownMessage: "This is **not** a real issue.", FirstObservedAt: now,
	}
}

// RaiseIssue opens an issue, as when Kombo finds that credentials no longer work ([kombo.IssueTypeAuthenticationFailed]), and
// returns once issue-status-changed is delivered. The ID of the integration is "" for an issue of the whole environment. It
// fails if such an issue is open already. It does not change the state of the integration; see [Server.SetState].
func (s *Server) RaiseIssue(ctx context.Context, integrationID string, issueType kombo.IssueType) error {
	return s.changeIssue(ctx, kombo.IssueChangeRaised, issueKey{integrationID, issueType})
}

// ResolveIssue resolves an issue that [Server.RaiseIssue] has opened, and returns once issue-status-changed is delivered.
func (s *Server) ResolveIssue(ctx context.Context, integrationID string, issueType kombo.IssueType) error {
	return s.changeIssue(ctx, kombo.IssueChangeResolved, issueKey{integrationID, issueType})
}

func (s *Server) changeIssue(ctx context.Context, change kombo.IssueChange, key issueKey) error {
	return s.change(ctx, func(st *state) error {
		var about *kombo.IssueIntegration
		if key.integrationID != "" {
			i, err := st.integration(key.integrationID)
			if err != nil {
				return err
			}
			about = &kombo.IssueIntegration{ID: i.ID, Tool: i.Tool, Category: i.Category, EndUser: i.EndUser}
		}
		issue, open := st.issues[key]
		switch {
		case key.issueType == "":
			return fmt.Errorf("kombotest: the issue has no type, such as %s", kombo.IssueTypeAuthenticationFailed)
		case change == kombo.IssueChangeRaised && open:
			return fmt.Errorf("kombotest: an issue %s is open already", key.issueType)
		case change == kombo.IssueChangeRaised:
			issue = newIssue(st.newID(), key.issueType, st.now())
			st.issues[key] = issue
		case !open:
			return fmt.Errorf("kombotest: no issue %s is open", key.issueType)
		default:
			now := later(st.now(), issue.FirstObservedAt)
			issue.Status, issue.ResolvedAt = kombo.IssueStatusResolved, &now
			delete(st.issues, key)
		}
		st.publish(&kombo.IssueStatusChangedEvent{
			EventHeader: st.newHeader(kombo.EventIssueStatusChanged),
			Data:        kombo.IssueStatusChangedData{Change: change, Issue: issue, Integration: about},
		})
		return nil
	})
}
