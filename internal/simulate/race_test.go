//go:build race

package simulate

// histories is smaller under the race detector, which makes each history slower.
const histories = 5
