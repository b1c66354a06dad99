package custody_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

func TestDoubts(t *testing.T) {
	logins := custody.Logins{Worked: "the one before"}
	for i := range 5 {
		logins = logins.With(custody.Doubt{Login: fmt.Sprint(i), User: "a", Lost: 1})
	}
	before := logins
	logins = logins.With(custody.Doubt{Login: "1", User: "a", Lost: 2})

	want := []custody.Doubt{{Login: "2", User: "a", Lost: 1}, {Login: "3", User: "a", Lost: 1}, {Login: "4", User: "a", Lost: 1}, {Login: "1", User: "a", Lost: 2}}
	if diff := cmp.Diff(want, logins.Doubts); diff != "" {
		t.Errorf("four are kept, each once, and the latest last: %s", diff)
	}
	if before.Doubts[3].Login != "4" || logins.Worked != "the one before" {
		t.Errorf("the logins before have changed: %+v", before)
	}
	for login, lost := range map[string]int{"2": 1, "1": 2} { // the first of them, and the last
		if doubt := logins.Doubt(login); doubt == nil || doubt.Login != login || doubt.Lost != lost {
			t.Errorf("of login %s is known %+v", login, doubt)
		}
	}
	if doubt := logins.Doubt("0"); doubt != nil {
		t.Errorf("of a login that was forgotten is known %+v", doubt)
	}
	// Without a key of digests no login has one, and none is the same as another.
	if doubt := logins.With(custody.Doubt{Login: ""}).Doubt(""); doubt != nil {
		t.Errorf("of a login without a digest is known %+v", doubt)
	}
}

func TestAttemptsOfALogin(t *testing.T) {
	var doubt custody.Doubt
	for i := range 17 {
		doubt = doubt.Try(fmt.Sprint(i), now.Add(time.Duration(i)*time.Hour))
	}
	before := doubt
	doubt = doubt.Try("2", now.Add(time.Minute))
	if n := len(doubt.Tried); n != 16 || doubt.Tried[0] != "1" || doubt.Tried[1] != "3" || doubt.Tried[n-1] != "2" {
		t.Errorf("of 17 contents sixteen are kept, each once, the latest last; they are %v", doubt.Tried)
	}
	if !doubt.LastAt.Equal(now.Add(time.Minute)) {
		t.Errorf("the last attempt was at %s", doubt.LastAt)
	}
	if before.Tried[1] != "2" {
		t.Errorf("the attempts before have changed: %v", before.Tried)
	}
}
