package oauthclient

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// TestWhatIsRememberedOfDenialsIsBounded has accounts choose one host after the other, and one client secret after the other.
func TestWhatIsRememberedOfDenialsIsBounded(t *testing.T) {
	d := denials{denied: accountmemory.New[*deniedApplications](nil)}
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	denied := &answer.Error{Kind: answer.Unavailable, Status: http.StatusUnauthorized}
	const account = types.UID("uid-1")
	for i := range 3 * mostServing {
		d.count(fmt.Sprintf("%d.example", i), "app", account, nil, now)
	}
	if n := len(d.served); n != mostServing {
		t.Errorf("%d hosts are remembered, want %d", n, mostServing)
	}
	d.count("late.example", "app", account, nil, now.Add(servedLately+time.Second))
	if n := len(d.served); n != 1 {
		t.Errorf("%d hosts are remembered, of which one has served lately", n)
	}
	for i := range 100 {
		d.count("late.example", fmt.Sprint("app ", i), account, denied, now)
	}
	if n := len(*d.denied.Of(account)); n > mostDenied {
		t.Errorf("%d applications of an account are remembered, want at most %d", n, mostDenied)
	}
	for i := range deniedInARow {
		times, wrong := d.count("late.example", "wrong", account, denied, now)
		if times != i+1 || wrong != (i+1 == deniedInARow) {
			t.Errorf("the answer is number %d in a row and speaks against the application: %t", times, wrong)
		}
	}
}
