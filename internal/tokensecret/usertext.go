package tokensecret

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxUserText is more than any credential needs, and less than would make a request too large.
const maxUserText = 16 << 10

// textKind is how a value may look that people put into a Secret. Editors, shells and copying add unseen characters: they are cut where
// they cannot be meant, and complained of where they may be; a platform would only say that the credential is wrong.
type textKind struct {
	// ascii tells that RFC 6749 appendix A allows printable ASCII alone (VSCHAR).
	ascii bool
	// spaced tells that white space around the value is a part of it, but for the line ends that editors add.
	spaced bool
	// quotable tells that quotation marks around the value may be a part of it.
	quotable bool
}

var (
	issuedText = textKind{ascii: true}
	userName   = textKind{}
	password   = textKind{spaced: true, quotable: true}
)

const byteOrderMark = "\ufeff"

// read returns the value, or its fault: the end of a sentence, which holds nothing of the value.
func (k textKind) read(data []byte) (value, fault string) {
	switch {
	case len(data) > maxUserText:
		return "", fmt.Sprintf("is longer than %d KiB", maxUserText>>10)
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return "", "is UTF-16, as PowerShell writes files"
	case !utf8.Valid(data):
		return "", "is not UTF-8"
	}
	value = k.cut(string(data))
	for _, r := range value {
		if fault := k.faultOf(r); fault != "" {
			return "", fault
		}
	}
	if first, last := firstAndLast(value); !k.quotable && first == last && strings.ContainsRune("\"'`", first) {
		return "", "is in quotation marks"
	}
	return value, ""
}

// cut takes away the surroundings of a value: a byte order mark, the line end of an editor, and white space.
func (k textKind) cut(text string) string {
	text = strings.TrimPrefix(text, byteOrderMark)
	if k.spaced {
		return strings.TrimRight(text, "\r\n")
	}
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || invisible(r) })
}

// faultOf says why a value may not hold a character; empty where it may.
func (k textKind) faultOf(r rune) string {
	switch {
	case r == 0:
		return "holds a NUL, as of a file in UTF-16"
	case r == '\n' || r == '\r':
		return "has more than one line"
	case k.spaced && (r == '\t' || !unicode.IsControl(r)):
		return ""
	case unicode.IsControl(r):
		return "holds a control character"
	case invisible(r):
		return "holds a character that cannot be seen"
	case k.ascii && utf8.RuneLen(r) > 1:
		return "holds a character outside of ASCII, such as a typographic quotation mark or dash"
	}
	return ""
}

// invisible tells that a character is printed as nothing, such as a byte order mark or a zero width space.
func invisible(r rune) bool { return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) }

// firstAndLast returns the characters at the ends of a text of two characters at least; else two that differ.
func firstAndLast(text string) (first, last rune) {
	first, width := utf8.DecodeRuneInString(text)
	if width == len(text) {
		return 0, utf8.RuneError
	}
	last, _ = utf8.DecodeLastRuneInString(text)
	return first, last
}
