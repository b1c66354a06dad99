package sharedtexts

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// TestTextsAreBounded: tenants choose names.
func TestTextsAreBounded(t *testing.T) {
	g := NewWithT(t)
	var texts Texts
	large := strings.Repeat("x", longestText+1)
	for n := range 3 * mostTexts {
		text := fmt.Sprint("text ", n)
		g.Expect(texts.of(text)).To(Equal(text))
	}
	g.Expect(len(texts.held)).To(BeNumerically("<=", mostTexts))
	g.Expect(texts.of(large)).To(Equal(large))
	g.Expect(texts.held).NotTo(HaveKey(large))
	g.Expect(texts.held).NotTo(HaveKey(""))
}
