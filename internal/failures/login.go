package failures

import (
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// LockedOrKeptOut says that a login is not tried again that was refused without a reason.
func LockedOrKeptOut(f facts.Facts, asked *answer.Error, times int) *facts.Failure {
	name := f.Request.Platform.DisplayName
	return &facts.Failure{Reason: v1alpha1.ReasonAccountLocked, Message: fmt.Sprintf("%s answered the login with HTTP %d without an error code for the %s time: a firewall keeps "+
		"the operator out, or %s has locked the login; when that is mended, annotate its Secret%s with %s=<anything new> for one attempt",
		name, asked.Status, ordinal(times), name, facts.InSecret(f.Account), v1alpha1.AnnotationRetry)}
}

func ordinal(n int) string {
	suffix := map[int]string{1: "st", 2: "nd", 3: "rd"}[n%10]
	if suffix == "" || n%100/10 == 1 {
		suffix = "th"
	}
	return fmt.Sprint(n, suffix)
}
