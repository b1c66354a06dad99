// Package words holds the sentences of the portal's pages, in the languages that it speaks: a file of data for each, such as
// en.yaml, and the rules of numbers, names and dates. A further language is one more file, and its tag in tags. It knows no pages
// and no accounts.
package words
