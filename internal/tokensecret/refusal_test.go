package tokensecret_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// keyed is a custody whose key of refusals repeats one byte.
func keyed(t *testing.T, with byte) tokensecret.Custody {
	t.Helper()
	var custody tokensecret.Custody
	if err := custody.KeyRefusals(bytes.NewReader(bytes.Repeat([]byte{with}, 32))); err != nil {
		t.Fatal(err)
	}
	return custody
}

func TestADigestTellsWhatWasRefused(t *testing.T) {
	custody, other := keyed(t, 1), keyed(t, 2)
	digest := custody.RefusalDigest([]string{"a", "b"})
	if again := custody.RefusalDigest([]string{"a", "b"}); digest == "" || again != digest {
		t.Errorf("the same parts have the digests %q and %q", digest, again)
	}
	for name, differs := range map[string]string{
		"another order":            custody.RefusalDigest([]string{"b", "a"}),
		"another cut":              custody.RefusalDigest([]string{"ab", ""}),
		"one part more":            custody.RefusalDigest([]string{"a", "b", ""}),
		"one part that looks like": custody.RefusalDigest([]string{"a\x00\x00\x00\x00\x00\x00\x00\x01b"}),
		"another key":              other.RefusalDigest([]string{"a", "b"}),
	} {
		if differs == digest {
			t.Errorf("%s has the same digest", name)
		}
	}
}

func TestTheKeyOfRefusalsStays(t *testing.T) {
	custody := keyed(t, 1)
	if err := custody.KeyRefusals(iotest.ErrReader(errors.New("no randomness"))); err != nil || custody.RefusalKey[0] != 1 {
		t.Errorf("a second key: %v, %v", custody.RefusalKey, err)
	}
}

func TestWithoutAKeyThereIsNoDigest(t *testing.T) {
	var custody tokensecret.Custody
	if err := custody.KeyRefusals(io.LimitReader(bytes.NewReader(make([]byte, 31)), 31)); err == nil || custody.RefusalKey != nil {
		t.Errorf("half a key is one: %v, %v", custody.RefusalKey, err)
	}
	digest := custody.RefusalDigest([]string{"a"})
	refused := &tokensecret.Refused{}
	refused.Remember(digest, nil)
	if digest != "" || !refused.Versioned() || refused.Covers(digest) {
		t.Errorf("digest %q, refused %+v", digest, refused)
	}
}

func TestARefusalRemembersTheOnesBefore(t *testing.T) {
	var refused *tokensecret.Refused
	for i := range 20 {
		next := &tokensecret.Refused{}
		next.Remember(fmt.Sprint(i), refused)
		next.Remember(fmt.Sprint(i), next) // once is enough
		refused = next
	}
	if len(refused.Digests) != 16 || refused.Covers("3") || !refused.Covers("4") || !refused.Covers("19") || refused.Covers("") {
		t.Errorf("the digests are %v", refused.Digests)
	}
	if nothing := (*tokensecret.Refused)(nil); nothing.Covers("4") {
		t.Error("no refusal covers something")
	}
}
