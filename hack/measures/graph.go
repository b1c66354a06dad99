package main

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// graph has an arrow from each file to the files that it names.
type graph struct {
	to [][]bool
}

func newGraph(files int) graph {
	g := graph{to: make([][]bool, files)}
	for i := range g.to {
		g.to[i] = make([]bool, files)
	}
	return g
}

func (g graph) add(from, to int) {
	if from != to {
		g.to[from][to] = true
	}
}

// pairs counts those between which there is an arrow, in whichever direction.
func (g graph) pairs() int {
	count := 0
	for a := range g.to {
		for b := range a {
			if g.to[a][b] || g.to[b][a] {
				count++
			}
		}
	}
	return count
}

// upward counts the arrows that go up in the order that has fewest of them. No arrow between two circles needs to: each circle is
// put in order by itself.
func (g graph) upward() int {
	total := 0
	for _, circle := range g.circles() {
		if len(circle) <= maxExact {
			total += g.fewest(circle)
		} else {
			total += g.few(circle)
		}
	}
	return total
}

// circles are the files that depend on each other, directly or not: the strongly connected components.
func (g graph) circles() [][]int {
	n := len(g.to)
	reaches := newGraph(n)
	for a := range g.to {
		copy(reaches.to[a], g.to[a])
	}
	for via := range n {
		for a := range n {
			for b := range n {
				if reaches.to[a][via] && reaches.to[via][b] {
					reaches.to[a][b] = true
				}
			}
		}
	}
	var circles [][]int
	seen := make([]bool, n)
	for a := range n {
		if seen[a] {
			continue
		}
		circle := []int{a}
		for b := a + 1; b < n; b++ {
			if reaches.to[a][b] && reaches.to[b][a] {
				circle, seen[b] = append(circle, b), true
			}
		}
		circles = append(circles, circle)
	}
	return circles
}

// maxExact is how many files can be tried in every order: the table has a place for each set of them.
const maxExact = 16

// fewest is exact: the best order of a set ends in one of its files, before which the rest stands in its best order.
func (g graph) fewest(files []int) int {
	n := len(files)
	named := make([]uint, n) // the files that each names
	for i, a := range files {
		for j, b := range files {
			if g.to[a][b] {
				named[i] |= 1 << j
			}
		}
	}
	// A file that stands first may be named by all; one that stands later is named upwards by those before it.
	best := make([]int, 1<<n)
	for set := 1; set < len(best); set++ {
		best[set] = n * n
		for last := range n {
			if set&(1<<last) == 0 {
				continue
			}
			before := set &^ (1 << last)
			up := 0
			for rest := uint(before); rest != 0; rest &= rest - 1 {
				up += int(named[bits.TrailingZeros(rest)] >> last & 1)
			}
			best[set] = min(best[set], best[before]+up)
		}
	}
	return best[len(best)-1]
}

// starts is how many orders are improved, from the one by name on.
const starts = 200

// few improves orders by moving one file at a time to where it helps most, until no move helps.
func (g graph) few(files []int) int {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	order, best := slices.Clone(files), len(files)*len(files)
	for range starts {
		best = min(best, g.improve(slices.Clone(order)))
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	return best
}

func (g graph) improve(order []int) int {
	for improved := true; improved; {
		improved = false
		for at := range order {
			to, gain := g.bestMove(order, at)
			if gain > 0 {
				moved := order[at]
				order = slices.Insert(slices.Delete(order, at, at+1), to, moved)
				improved = true
			}
		}
	}
	up := 0
	for i, a := range order {
		for _, b := range order[i+1:] {
			if g.to[a][b] {
				up++
			}
		}
	}
	return up
}

// bestMove tells where a file would stand best, and how many arrows fewer would go up then.
func (g graph) bestMove(order []int, at int) (to, gain int) {
	// swapped is what it costs when a stands after b instead of before it.
	swapped := func(a, b int) int {
		cost := 0
		if g.to[a][b] {
			cost--
		}
		if g.to[b][a] {
			cost++
		}
		return cost
	}
	cost, best := 0, 0
	to = at
	for i := at + 1; i < len(order); i++ {
		if cost += swapped(order[at], order[i]); cost < best {
			best, to = cost, i
		}
	}
	cost = 0
	for i := at - 1; i >= 0; i-- {
		if cost -= swapped(order[at], order[i]); cost < best {
			best, to = cost, i
		}
	}
	return to, -best
}
