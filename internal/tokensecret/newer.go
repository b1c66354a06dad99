package tokensecret

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// A document of a later version is not understood, and still may have to take an answer that is in hand: the only copy of the
// tokens that a single-use token was spent for. So the members that this program knows are written on top of the ones that it does not know.

// versionOf reads nothing but the version of a document; zero where there is none.
func versionOf(document []byte) int {
	var only struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(document, &only) != nil {
		return 0
	}
	return only.Version
}

// decodeNewer reads the members of a document one by one, and leaves out each that has another type in this program.
func decodeNewer(document []byte) custody.Custody {
	var members map[string]json.RawMessage
	if json.Unmarshal(document, &members) != nil {
		return custody.Custody{Version: versionOf(document)}
	}
	var kept custody.Custody
	for name, value := range members {
		alone, err := json.Marshal(map[string]json.RawMessage{name: value})
		if err != nil {
			continue
		}
		with := kept
		if json.Unmarshal(alone, &with) == nil {
			kept = with
		}
	}
	return kept
}

// onTopOf writes a document on top of the one of a later version that held holds, and keeps the members, at any depth, that this
// program does not know.
func onTopOf(held, document []byte) ([]byte, error) {
	understood, err := json.Marshal(decodeNewer(held))
	if err != nil {
		return nil, err
	}
	var into, base, known map[string]any
	for _, read := range []struct {
		from []byte
		into *map[string]any
	}{{document, &into}, {held, &base}, {understood, &known}} {
		decoder := json.NewDecoder(bytes.NewReader(read.from))
		decoder.UseNumber() // numbers stay as they are written
		if err := decoder.Decode(read.into); err != nil {
			return nil, err
		}
	}
	keepUnknown(into, base, known)
	return json.Marshal(into)
}

// keepUnknown adds to an object the members of base that are not known.
func keepUnknown(into, base, known map[string]any) {
	for name, value := range base {
		understood, isKnown := known[name]
		there, isThere := into[name]
		if !isKnown {
			if !isThere {
				into[name] = value
			}
			continue
		}
		switch inner := value.(type) {
		case map[string]any:
			innerKnown, okKnown := understood.(map[string]any)
			innerInto, okInto := there.(map[string]any)
			if okKnown && okInto {
				keepUnknown(innerInto, inner, innerKnown)
			}
		case []any:
			innerKnown, _ := understood.([]any)
			innerInto, _ := there.([]any)
			keepElements(innerInto, inner, innerKnown)
		}
	}
}

// keepElements puts the elements of base back into a list, where this program has left them as it understood them.
func keepElements(into, base, known []any) {
	for i, element := range into {
		at := slices.IndexFunc(known, func(understood any) bool { return reflect.DeepEqual(understood, element) })
		if at >= 0 && len(base) == len(known) {
			into[i] = base[at]
		}
	}
}
