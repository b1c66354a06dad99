package answer_test

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// listOf is a list of the same value; with the list itself it holds one value more.
func listOf(count int, value string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(value+",", count), ",") + "]"
}

func TestCheckSize(t *testing.T) {
	const most = bounds.AnswerValues
	tests := map[string]struct{ body, says string }{
		"nothing":                          {"", ""},
		"the largest body":                 {strings.Repeat("x", bounds.Answer), ""},
		"one byte more":                    {strings.Repeat("x", bounds.Answer+1), "is larger than 128 KiB"},
		"as many values as there may be":   {listOf(most-1, "0"), ""},
		"one more":                         {listOf(most, "0"), "holds more names and values than any answer does"},
		"names count":                      {listOf(most/3+1, `{"":0}`), "holds more names and values than any answer does"},
		"lists in lists count":             {strings.Repeat("[", most+1), "holds more names and values than any answer does"},
		"numbers that no float can hold":   {listOf(most, "1e999"), "holds more names and values than any answer does"},
		"what stands behind does not":      {`{"a":0}` + listOf(most, "0"), ""},
		"nor what is no JSON":              {`{"a":` + strings.Repeat("}", 2*most), ""},
		"one long text is one value":       {`{"access_token":"` + strings.Repeat(`,[{\"`, bounds.Answer/10) + `"}`, ""},
		"many values behind something bad": {"[0 0," + listOf(most, "0"), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := ""
			if err := answer.CheckSize([]byte(test.body)); err != nil {
				text = err.Error()
			}
			if text != test.says {
				t.Errorf("the error is %q, want %q", text, test.says)
			}
		})
	}
}

// TestABodyOfRightSizeStaysSmall decodes the worst bodies that there may be, of which each worker may hold one.
func TestABodyOfRightSizeStaysSmall(t *testing.T) {
	for name, one := range map[string]string{"objects": `{"":0}`, "lists": `[[]]`, "numbers": `0`, "texts": `"` + strings.Repeat("x", 20) + `"`} {
		t.Run(name, func(t *testing.T) {
			count := bounds.Answer / (len(one) + 1)
			for answer.CheckSize([]byte(listOf(count, one))) != nil {
				count -= count/10 + 1
			}
			body := []byte(listOf(count, one))
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			decoder := json.NewDecoder(bytes.NewReader(body))
			decoder.UseNumber()
			var decoded any
			if err := decoder.Decode(&decoded); err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			const most = 1 << 20
			if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > most {
				t.Errorf("%d values take %d bytes, want at most %d", count, held, most)
			} else {
				t.Logf("%d values take %d bytes", count, held)
			}
			runtime.KeepAlive(decoded)
		})
	}
}

// TestReadBody reads one byte too many, by which a body that is too large is known.
func TestReadBody(t *testing.T) {
	for size, want := range map[int]int{0: 0, bounds.Answer: bounds.Answer, bounds.Answer + 1: bounds.Answer + 1, 2 * bounds.Answer: bounds.Answer + 1} {
		if body, err := answer.ReadBody(strings.NewReader(strings.Repeat("x", size))); err != nil || len(body) != want {
			t.Errorf("of %d bytes %d are read (%v), want %d", size, len(body), err, want)
		}
	}
}
