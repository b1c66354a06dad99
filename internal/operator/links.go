package operator

import "fmt"

// links is a flag that tells where links and codes of sign-ins stand.
type links string

const (
	linksInStatus links = "Status"
	linksInSecret links = "Secret"
)

// String implements flag.Value.
func (l *links) String() string { return string(*l) }

// Set implements flag.Value.
func (l *links) Set(text string) error {
	switch place := links(text); place {
	case linksInStatus, linksInSecret:
		*l = place
		return nil
	}
	return fmt.Errorf("must be %s or %s", linksInStatus, linksInSecret)
}
