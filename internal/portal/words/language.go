package words

import (
	"embed"
	"fmt"
	"strings"

	"golang.org/x/text/language"
	"sigs.k8s.io/yaml"
)

//go:embed *.yaml
var files embed.FS

// maxAcceptLanguage is how many bytes are read of a header that lists languages.
const maxAcceptLanguage = 256

// tags are the languages that the portal speaks, each with a file of its name. The first is for everybody else.
func tags() []language.Tag { return []language.Tag{language.English, language.German, language.Polish} }

// read reads the texts of a language.
func read(tag language.Tag) (*Texts, error) {
	name := tag.String() + ".yaml"
	text, err := files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the words of a language: %w", err)
	}
	texts := &Texts{}
	if err := yaml.UnmarshalStrict(text, texts); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if texts.Tag != tag {
		return nil, fmt.Errorf("%s says that it is of language %s", name, texts.Tag)
	}
	return texts, nil
}

// Speech chooses the language of an answer.
type Speech struct {
	matcher language.Matcher
	spoken  []*Texts
}

// NewSpeech reads the texts of all languages.
func NewSpeech() (*Speech, error) {
	s := &Speech{matcher: language.NewMatcher(tags())}
	for _, tag := range tags() {
		texts, err := read(tag)
		if err != nil {
			return nil, err
		}
		s.spoken = append(s.spoken, texts)
	}
	return s, nil
}

// Languages are the texts of all languages.
func (s *Speech) Languages() []*Texts { return s.spoken }

// To returns the texts for a visitor with a browser that sends this Accept-Language.
func (s *Speech) To(acceptLanguage string) *Texts {
	accepted := acceptLanguage
	if len(accepted) > maxAcceptLanguage {
		accepted = accepted[:max(0, strings.LastIndex(accepted[:maxAcceptLanguage], ","))]
	}
	_, index := language.MatchStrings(s.matcher, accepted)
	return s.spoken[index]
}
