package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// TestScripts plays the scripts in testdata: an account and its marketplace, what happens to them, and what is done and told. Each line of
// output is what the command has led to; go test ./internal/lifecycle -run TestScripts -rewrite writes it anew. The commands are:
//
//	account grant=RefreshToken [rotating] [grace=60s]   begins anew
//	answer lost                                         how the marketplace answers the next request: see failures in world_test.go
//	pass 11h                                            lets time pass
//	ask renew | verify | sign-in                        a person asks for something by an annotation
//	sign-in as=44130512                                 a person signs in, at a browser or with the device code
//	import                                              the user puts another refresh token into the Secret
//	restore                                             puts the grant Secret back to how it was when last kept
//	keep                                                keeps a copy of the grant Secret
//	look [dies=journaled|answered|stored]               looks at the account, in a process that may end in between
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var w *world
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "account" && w == nil {
				d.Fatalf(t, "a script begins with an account")
			}
			switch d.Cmd {
			case "account":
				w = begin(t, d)
			case "answer":
				next, known := failures[d.CmdArgs[0].Key]
				if !known {
					d.Fatalf(t, "there is no answer %q", d.CmdArgs[0].Key)
				}
				w.market.next, w.market.acts = next.failure, next.acts
			case "pass":
				wait, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				w.now = w.now.Add(wait)
			case "ask":
				value := w.now.Format(time.RFC3339)
				switch d.CmdArgs[0].Key {
				case "renew":
					w.askToRenew(value)
				case "verify":
					w.account.Annotations[v1alpha1.AnnotationVerify] = value
				case "sign-in":
					w.account.Annotations[v1alpha1.AnnotationSignIn] = value
				}
			case "sign-in":
				seller := ""
				d.ScanArgs(t, "as", &seller)
				if w.account.Spec.Grant.Type == v1alpha1.GrantDeviceCode {
					w.approve()
				} else {
					w.signIn(seller)
				}
			case "import":
				w.supply(func() { w.request.Imported.RefreshToken = w.market.grant(w.market.seller) })
			case "keep":
				w.backup.custody = w.stored
			case "restore":
				w.stored = w.backup.custody
				w.putBack()
			case "look":
				end := moment("")
				d.MaybeScanArgs(t, "dies", (*string)(&end))
				w.look(func(at moment) bool { return at == end })
				if end != "" {
					w.restart()
				}
			default:
				d.Fatalf(t, "there is no command %q", d.Cmd)
			}
			if w.broken != "" {
				t.Error(w.broken)
			}
			switch d.Cmd {
			case "look", "sign-in":
				return w.summary()
			}
			return ""
		})
	})
}

func begin(t *testing.T, d *datadriven.TestData) *world {
	grant, grace := "", "0s"
	d.ScanArgs(t, "grant", &grant)
	d.MaybeScanArgs(t, "grace", &grace)
	honoured, err := time.ParseDuration(grace)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return newWorld(v1alpha1.GrantType(grant), d.HasArg("rotating"), honoured)
}

// summary is what was done, what is stored, and what people are told.
func (w *world) summary() string {
	var lines []string
	if len(w.said) > 0 {
		lines = append(lines, "did: "+strings.Join(w.said, ", "))
	}
	w.said = nil
	c := w.stored
	held := fmt.Sprintf("custody: serial %d", c.Serial)
	if c.RefreshToken != "" {
		held += ", " + c.RefreshToken
	}
	if c.Tokens != nil {
		held += fmt.Sprintf(", %s until %s", c.Tokens.AccessToken, c.Tokens.ExpiresAt.Format("15:04"))
	}
	if c.Account.ID != "" {
		held += ", of " + c.Account.ID
	}
	held += journalLine("", c.Journal) + journalLine("import ", c.ImportJournal)
	if c.Candidate != nil {
		held += fmt.Sprintf(", candidate %s of %q", c.Candidate.Tokens.AccessToken, c.Candidate.Account.ID)
	}
	held += refusalLine("refused ", c.Refused) + refusalLine("import refused ", c.RefusedImport) + refusalLine("sign-in refused ", c.SignIn.Refused)
	lines = append(lines, held)
	told := "told: Ready " + w.condition(v1alpha1.ConditionReady) + ", Authenticated " + w.condition(v1alpha1.ConditionAuthenticated)
	if reauth := w.condition(v1alpha1.ConditionReauthRequired); !strings.HasPrefix(reauth, "False") {
		told += ", ReauthRequired " + reauth
	}
	if last := w.account.Status.LastFailure; last != nil {
		told += fmt.Sprintf(", failed %d times: %s", last.Count, last.Reason)
	}
	return strings.Join(append(lines, told), "\n") + "\n"
}

func journalLine(name string, journal *custody.Journal) string {
	if journal == nil {
		return ""
	}
	line := fmt.Sprintf(", %sjournal %d times by %s", name, journal.Attempts, journal.Holder)
	if journal.Lost {
		line += fmt.Sprintf(", its answer lost, %d last resorts", journal.LastResorts)
	}
	return line
}

func refusalLine(name string, refused *custody.Refusal) string {
	if refused == nil {
		return ""
	}
	return ", " + name + refused.Reason
}
