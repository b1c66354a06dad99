package oauthclient

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// TestNoLeaveBeforeTheRecordIsStored: tokens are asked for once the custody holds the entry of the journal, and no later than another process may send.
func TestNoLeaveBeforeTheRecordIsStored(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	entry := custody.Journal{StartedAt: now.Add(-time.Minute), LastAt: now, Holder: "process-1", Attempts: 2}
	another := func(change func(*custody.Journal)) *custody.Journal {
		other := entry
		change(&other)
		return &other
	}
	tests := map[string]struct {
		send   lifecycle.Sending
		stored *custody.Journal
		late   time.Duration
		want   bool
	}{
		"stored":                           {send: lifecycle.Sending{Entry: &entry}, stored: another(func(*custody.Journal) {}), want: true},
		"nothing is journaled":             {want: true},
		"nothing is stored":                {send: lifecycle.Sending{Entry: &entry}},
		"the entry before is stored":       {send: lifecycle.Sending{Entry: &entry}, stored: another(func(j *custody.Journal) { j.Attempts, j.LastAt = 1, now.Add(-time.Minute) })},
		"another process's entry":          {send: lifecycle.Sending{Entry: &entry}, stored: another(func(j *custody.Journal) { j.Holder = "process-2" })},
		"an entry of another moment":       {send: lifecycle.Sending{Entry: &entry}, stored: another(func(j *custody.Journal) { j.LastAt = now.Add(time.Second) })},
		"forbidden":                        {send: lifecycle.Sending{Entry: &entry, Forbidden: true}, stored: &entry},
		"forbidden, and nothing journaled": {send: lifecycle.Sending{Forbidden: true}},
		"just in time":                     {send: lifecycle.Sending{Entry: &entry}, stored: &entry, late: 40*time.Second - 1, want: true},
		"too late":                         {send: lifecycle.Sending{Entry: &entry}, stored: &entry, late: 40 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := facts.Facts{
				Account: &v1alpha1.MarketplaceAccount{}, Request: facts.Request{Platform: &marketplace.Platform{}},
				CallTimeout: 10 * time.Second, AttemptTimeout: time.Minute,
			}
			f.Custody.Journal = test.stored
			leave, ok := LeaveTo(test.send, &f, now.Add(test.late))
			if ok != test.want || ok != (leave.facts == &f) {
				t.Errorf("there is leave: %t", ok)
			}
		})
	}
}
