package platforms

import (
	"strconv"
	"strings"
	"time"
)

// Device says how a platform's device flow differs from RFC 8628.
type Device struct {
	// Lifetime is how long a person has to decide.
	Lifetime time.Duration
	// Interval is how long a client has to wait between two polls, in whole seconds. Each poll that comes sooner than that
	// makes it five seconds longer (section 3.5), and no poll before its end is answered.
	Interval time.Duration
	// UserCode is the form of user codes, in which letters of UserCodeLetters take the place of each asterisk.
	UserCode        string
	UserCodeLetters string
	// CodeParameter names the user code in verification_uri_complete. Empty means user_code.
	CodeParameter string
	// ClientIDRequired wants client_id also of a client that authenticates by Basic.
	ClientIDRequired bool
	// Query lets parameters of the device authorization request be in the query.
	Query bool
	// Strings sends expires_in and interval as strings.
	Strings bool
}

// UserCodeParameter is the name of the user code on the page.
func (d Device) UserCodeParameter() string {
	if d.CodeParameter == "" {
		return "user_code"
	}
	return d.CodeParameter
}

// NewUserCode makes a user code from random bytes.
func (d Device) NewUserCode(random []byte) string {
	var made strings.Builder
	for _, place := range d.UserCode {
		if place != '*' || len(random) == 0 {
			made.WriteRune(place)
			continue
		}
		made.WriteByte(d.UserCodeLetters[int(random[0])%len(d.UserCodeLetters)])
		random = random[1:]
	}
	return made.String()
}

// Number is a duration in seconds as the platform writes it.
func (d Device) Number(duration time.Duration) any {
	if d.Strings {
		return strconv.FormatInt(int64(duration/time.Second), 10)
	}
	return int64(duration / time.Second)
}
