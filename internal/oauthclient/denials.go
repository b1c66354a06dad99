package oauthclient

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

const (
	// deniedInARow is how many answers 401 or 403 without an error code speak against an application, where its host serves
	// another one.
	deniedInARow = 3
	// servedLately is how long a host that has served an application counts as one that works.
	servedLately = 10 * time.Minute
	// mostServing are the hosts that have served an application and are remembered, and mostDenied the applications of one account without
	// an answer: authors of accounts may choose both. One that is forgotten is known again after as many answers.
	mostServing = 1024
	mostDenied  = 4
)

// denials tells a wrong client secret from a firewall and an outage, where a platform answers 401 or 403 without an error
// code: the host serves other applications meanwhile. It lives in memory: after a restart it takes three answers again. It may be
// used by many goroutines at once.
type denials struct {
	mu sync.Mutex // guards the rest
	// served holds, by token host and application, when tokens came last.
	served map[string]map[string]time.Time
	// denied holds, by account and application, the answers without an error code that came last.
	denied *accountmemory.Memory[*deniedApplications]
}

// deniedApplications are the answers that came last, by application.
type deniedApplications map[string]inARow

// inARow counts answers in a row.
type inARow struct {
	count int
	since time.Time
}

// count takes an answer to an application's request to a host, and tells how often in a row an account got none with an error code;
// zero where this was another. wrong tells that the application is to blame.
func (d *denials) count(host, application string, account types.UID, failure error, now time.Time) (times int, wrong bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case failure == nil:
		d.serve(host, application, now)
	case answer.AsError(failure).WithoutCode():
		return d.deny(host, application, account, now)
	}
	d.denied.Set(account, nil)
	return 0, false
}

func (d *denials) serve(host, application string, now time.Time) {
	if d.served == nil {
		d.served = map[string]map[string]time.Time{}
	}
	if d.served[host] == nil {
		if len(d.served) >= mostServing {
			d.forgetAHost(now)
		}
		d.served[host] = map[string]time.Time{}
	}
	for other, at := range d.served[host] {
		if now.Sub(at) > servedLately {
			delete(d.served[host], other)
		}
	}
	d.served[host][application] = now
}

// forgetAHost makes room: it drops the hosts that have served nobody lately, or else any one.
func (d *denials) forgetAHost(now time.Time) {
	for host, served := range d.served {
		lately := false
		for _, at := range served {
			lately = lately || now.Sub(at) <= servedLately
		}
		if !lately {
			delete(d.served, host)
		}
	}
	for host := range d.served {
		if len(d.served) < mostServing {
			return
		}
		delete(d.served, host)
	}
}

func (d *denials) deny(host, application string, account types.UID, now time.Time) (times int, wrong bool) {
	all := d.denied.Of(account)
	if all == nil {
		all = &deniedApplications{}
		d.denied.Set(account, all)
	}
	denied, known := (*all)[application]
	if !known && len(*all) >= mostDenied {
		clear(*all)
	}
	if denied.count++; denied.count == 1 {
		denied.since = now
	}
	(*all)[application] = denied
	if denied.count < deniedInARow || d.served[host][application].After(denied.since) {
		return denied.count, false
	}
	for other, at := range d.served[host] {
		if other != application && now.Sub(at) <= servedLately {
			return denied.count, true
		}
	}
	return denied.count, false
}

// judgeApplication finds the likely cause of an answer without an error code: a firewall or an outage, or the application.
func (c *Client) judgeApplication(v facts.Facts, secret string, failure error) error {
	application := c.Digest(v.Request.Application.ClientID, secret)
	times, wrong := c.denials.count(v.Request.TokenHost(), application, v.Account.UID, failure, c.clock.Now())
	if times == 0 || v.Request.LogsIn() {
		return failure
	}
	said := *answer.AsError(failure)
	if wrong {
		said.Kind = answer.ApplicationRejected
		said.Message = fmt.Sprintf("HTTP %d without an error code, %d times in a row, while another application is served there", said.Status, times)
		return &said
	}
	said.Message = fmt.Sprintf("it answered HTTP %d without an error code, as a firewall does and in an outage, or as some platforms do where client_id or "+
		"client_secret%s is wrong", said.Status, facts.InApplicationSecret(v.Account))
	return &said
}
