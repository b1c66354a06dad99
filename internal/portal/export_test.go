package portal

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
)

// Serve is Start with a listener that a test has made.
var Serve = (*Portal).serve

// Visitors reaches what bounds the visitors of a portal.
func Visitors(p *Portal) visitor.Tester { return visitor.Tester{Reception: p.reception} }

// PressedFor sets how long an answer to a button waits for what becomes of it.
func PressedFor(p *Portal, wait time.Duration) { p.outcomeWait = wait }
