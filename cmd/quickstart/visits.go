package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
)

// maxVisits is how often a person tries to sign an account in.
const maxVisits = 5

// visits are the outcomes of the links that a person followed, by account: a link may be new at each time.
type visits map[types.NamespacedName]visit

// visit is the outcome of the last one. The zero value is an account that nobody tried to sign in.
type visit struct {
	count int
	url   string
	err   error
}

// note takes the outcome of a visit, and returns it.
func (v visits) note(i invitation, err error) error {
	v[i.account] = visit{v[i.account].count + 1, i.url, err}
	return err
}

// over tells whether to leave a link alone: since it was followed, which the account shows only later, or since it
// cannot be.
func (v visits) over(i invitation) bool {
	last := v[i.account]
	return last.count >= maxVisits || last.url == i.url && last.err == nil
}

// failed says of each account that waits why its link could not be followed.
func (v visits) failed(open []invitation) []string {
	var lines []string
	for _, i := range open {
		if last := v[i.account]; last.err != nil {
			lines = append(lines, fmt.Sprintf("nobody could follow the link of %s, %s: %v", i.account, last.url, last.err))
		}
	}
	return lines
}
