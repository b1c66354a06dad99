// Package peers keeps accounts that share a login or an application from each trying what a marketplace has refused to one of them: one account
// asks again now and then, and the others follow once it is served.
package peers
