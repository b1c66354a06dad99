// Package simulation_test plays histories of accounts: the whole operator, on a simulated API server and with simulated marketplaces, in
// virtual time. One seed is one history. docs/faults.md says how much is simulated.
package simulation_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seed    = flag.Uint64("seed", 1, "the first seed")
	seeds   = flag.Int("seeds", 20, "how many seeds")
	every   = flag.Uint64("every", 1, "from one seed to the next")
	script  = flag.String("script", "", "a file with a script to play")
	telling = flag.Bool("tell", false, "print what happens")
	cores   = flag.Int("cores", 0, "how many processes play at once; 0 is one for each core where there are many seeds")
	lasting = flag.Duration("lasting", 0, "end after so long; 0 is when all seeds are played")
)

// outcome is the result of one history.
type outcome struct {
	Broken string
	Digest uint64
	Years  float64
	Calls  int
	// pairs are the events that came to accounts in their states.
	pairs map[pair]int
}

// play plays a script in a bubble of its own.
func play(t *testing.T, seed uint64, script []step, tell bool) outcome {
	t.Helper()
	var result outcome
	synctest.Test(t, func(*testing.T) {
		w := newWorld(seed)
		w.telling = tell
		if *telling {
			w.story = os.Stdout
		}
		for _, s := range script {
			if w.broken != "" {
				break
			}
			w.do(s)
		}
		if w.broken == "" {
			w.recovers()
		}
		for _, p := range w.processes {
			p.kill()
		}
		time.Sleep(25 * time.Hour) //nolint:forbidigo // in virtual time: goroutines of processes that were killed end when their timers do
		result = outcome{w.broken, w.digest, w.years, w.calls, w.pairs}
	})
	return result
}

// summary is the result of many histories.
type summary struct {
	Histories, Calls int
	Years            float64
	Findings         []string
	Pairs            map[pair]int
}

func (s *summary) add(other summary) {
	s.Histories, s.Calls, s.Years = s.Histories+other.Histories, s.Calls+other.Calls, s.Years+other.Years
	s.Findings = append(s.Findings, other.Findings...)
	if s.Pairs == nil {
		s.Pairs = map[pair]int{}
	}
	for pair, count := range other.Pairs {
		s.Pairs[pair] += count
	}
}

// enough is how many histories reach each pair of a state and an event that is possible.
const enough = 20000

// marker begins a line in which a process tells the outcome of a history.
const marker = "summary: "

// TestHistories plays histories, and shrinks those in which an invariant breaks. It reports what it has played also when it is interrupted.
func TestHistories(t *testing.T) {
	if *script != "" || *mutate {
		t.Skip("a script is named, or rows are taken out")
	}
	ctx, cancel := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if *lasting > 0 {
		ctx, cancel = context.WithTimeout(ctx, *lasting)
		defer cancel()
	}
	began := time.Now()
	var total summary
	if n := processes(); n > 1 {
		total = playInProcesses(ctx, t, n)
	} else {
		total = playAll(ctx, t)
	}
	reportCoverage(t, total.Pairs, total.Histories >= enough && *cores != 1)
	t.Logf("%d histories, %.1f account-years, %d calls in %s: %.0f account-years a minute",
		total.Histories, total.Years, total.Calls, time.Since(began).Round(time.Millisecond), total.Years/time.Since(began).Minutes())
}

// processes is how many processes play. One plays one history at a time, since libraries draw from a source of randomness that all of a
// process share.
func processes() int {
	switch {
	case *cores > 0:
		return *cores
	case *seeds >= 100:
		return runtime.GOMAXPROCS(0)
	}
	return 1
}

func playAll(ctx context.Context, t *testing.T) summary {
	t.Helper()
	var total summary
	for n := range uint64(*seeds) {
		if ctx.Err() != nil || *within > 0 && processorTime() > *within {
			break
		}
		one := playSeed(t, *seed+n*(*every))
		for _, finding := range one.Findings {
			t.Error(finding)
		}
		if *cores == 1 {
			line, err := json.Marshal(one)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(os.Stdout, "%s%s\n", marker, line)
		}
		total.add(one)
		if len(one.Findings) > 0 && *first {
			break
		}
	}
	return total
}

// playSeed plays the history of a seed, and shortens it where it breaks an invariant.
func playSeed(t *testing.T, at uint64) summary {
	t.Helper()
	script := generate(at)
	result := play(t, at, script, *telling)
	one := summary{1, result.Calls, result.Years, nil, result.pairs}
	switch {
	case result.Broken == "":
	case *first:
		one.Findings = []string{fmt.Sprintf("-seed %d: %s", at, result.Broken)}
	default:
		script = shrink(t, at, script, result.Broken)
		one.Findings = []string{fmt.Sprintf("-seed %d: %s\nThe shortest script that shows it:\n%s", at, play(t, at, script, false).Broken, text(script))}
	}
	return one
}

// playInProcesses has n processes play every nth seed each.
func playInProcesses(ctx context.Context, t *testing.T, n int) summary {
	t.Helper()
	var total summary
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			wanted, played := (*seeds-i+n-1)/n, 0
			command := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHistories$", "-test.timeout=0", "-cores=1",
				fmt.Sprintf("-seed=%d", *seed+uint64(i)), fmt.Sprintf("-seeds=%d", wanted), fmt.Sprintf("-every=%d", n))
			rest, err := eachSummary(command, func(one summary) {
				mu.Lock()
				defer mu.Unlock()
				played++
				total.add(one)
				for _, finding := range one.Findings {
					t.Error(finding)
				}
			})
			if played < wanted && ctx.Err() == nil {
				t.Errorf("a process ended early: %v\n%s", err, rest)
			}
		})
	}
	all.Wait()
	return total
}

// eachSummary runs a process that plays, and takes the outcome of each history as soon as it is told. rest is all other output of the process.
func eachSummary(command *exec.Cmd, take func(summary)) (rest string, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer func() { _ = read.Close() }()
	command.Stdout, command.Stderr = write, write
	err = command.Start()
	_ = write.Close()
	if err != nil {
		return "", err
	}
	said := bufio.NewReader(read)
	var others strings.Builder
	for {
		line, ended := said.ReadString('\n')
		var one summary
		if document, ok := strings.CutPrefix(line, marker); ok && json.Unmarshal([]byte(document), &one) == nil {
			take(one)
		} else {
			others.WriteString(line)
		}
		if ended != nil {
			return others.String(), command.Wait()
		}
	}
}

// TestOneSeedIsOneHistory plays seeds twice, after the seeds of TestHistories.
func TestOneSeedIsOneHistory(t *testing.T) {
	for at := *seed + 20; at < *seed+26; at++ {
		script := generate(at)
		first, second := play(t, at, script, true), play(t, at, script, true)
		if first.Broken != second.Broken || first.Digest != second.Digest || first.Calls != second.Calls {
			t.Errorf("-seed %d: it went %+v, and then %+v", at, first, second)
		}
		if first.Broken != "" {
			t.Errorf("-seed %d: %s", at, first.Broken)
		}
	}
}

// TestAScript plays the script that is named.
func TestAScript(t *testing.T) {
	if *script == "" {
		t.Skip("no -script is named")
	}
	file, err := os.ReadFile(*script)
	if err != nil {
		t.Fatal(err)
	}
	before := processorTime()
	result := play(t, *seed, parse(string(file)), *telling)
	took := processorTime() - before
	if result.Broken != "" {
		t.Errorf("%s\n%s", result.Broken, strings.TrimSpace(string(file)))
	}
	t.Logf("%.2f account-years, %d calls in %s of processor time: %.0f account-years a minute of a core",
		result.Years, result.Calls, took.Round(time.Millisecond), result.Years/took.Minutes())
}
