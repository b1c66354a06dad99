package custody_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// keyed is a custody whose key of refusals repeats one byte.
func keyed(t *testing.T, with byte) custody.Custody {
	t.Helper()
	key, err := custody.NewRefusalKey(bytes.NewReader(bytes.Repeat([]byte{with}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return custody.Custody{RefusalKey: key}
}

func TestADigestTellsWhatWasRefused(t *testing.T) {
	kept, other := keyed(t, 1), keyed(t, 2)
	digest := kept.RefusalDigest([]string{"a", "b"})
	if again := kept.RefusalDigest([]string{"a", "b"}); digest == "" || again != digest {
		t.Errorf("the same parts have the digests %q and %q", digest, again)
	}
	for name, differs := range map[string]string{
		"another order":            kept.RefusalDigest([]string{"b", "a"}),
		"another cut":              kept.RefusalDigest([]string{"ab", ""}),
		"one part more":            kept.RefusalDigest([]string{"a", "b", ""}),
		"one part that looks like": kept.RefusalDigest([]string{"a\x00\x00\x00\x00\x00\x00\x00\x01b"}),
		"another key":              other.RefusalDigest([]string{"a", "b"}),
	} {
		if differs == digest {
			t.Errorf("%s has the same digest", name)
		}
	}
}

func TestWithoutAKeyThereIsNoDigest(t *testing.T) {
	for name, random := range map[string]io.Reader{
		"half a key":    io.LimitReader(bytes.NewReader(make([]byte, 31)), 31),
		"no randomness": iotest.ErrReader(errors.New("no randomness")),
	} {
		if key, err := custody.NewRefusalKey(random); err == nil || key != nil {
			t.Errorf("%s is one: %v, %v", name, key, err)
		}
	}
	digest := custody.Custody{}.RefusalDigest([]string{"a"})
	refused := custody.Refusal{}.WithDigest(digest, nil)
	if digest != "" || !refused.Versioned() || refused.Covers(digest) {
		t.Errorf("digest %q, refused %+v", digest, refused)
	}
}

func TestARefusalRemembersTheOnesBefore(t *testing.T) {
	var refused *custody.Refusal
	for i := range 20 {
		next := custody.Refusal{}.WithDigest(fmt.Sprint(i), refused)
		next = next.WithDigest(fmt.Sprint(i), &next) // once is enough
		refused = &next
	}
	if len(refused.Digests) != 16 || refused.Covers("3") || !refused.Covers("4") || !refused.Covers("19") || refused.Covers("") {
		t.Errorf("the digests are %v", refused.Digests)
	}
	if nothing := (*custody.Refusal)(nil); nothing.Covers("4") {
		t.Error("no refusal covers something")
	}
}

// TestARefusalAheadOfTheClock counts as of now, and the one that was read stays as it is.
func TestARefusalAheadOfTheClock(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct{ at, want time.Time }{
		"before":                       {now.Add(-time.Hour), now.Add(-time.Hour)},
		"now":                          {now, now},
		"since the clock was set back": {now.Add(time.Hour), now},
	} {
		refused := &custody.Refusal{At: test.at}
		if got := refused.NotAfter(now).At; !got.Equal(test.want) || !refused.At.Equal(test.at) {
			t.Errorf("%s: it counts as of %s", name, got)
		}
	}
	if (*custody.Refusal)(nil).NotAfter(now) != nil {
		t.Error("what was not refused is")
	}
}
