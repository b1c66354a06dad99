// Package userrequests bounds what people ask of an account: by annotations, to renew, test or sign in, and by edits, after which it asks its
// marketplace again at once. Each account has a few requests at once, and another one now and then.
package userrequests
