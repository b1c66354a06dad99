package cards

import "github.com/tokenkeeper/tokenkeeper/internal/portal/words"

// Texts puts accounts into the words of one language.
type Texts struct{ *words.Texts }

// Production is the environment that needs no mention.
const Production = "Production"
