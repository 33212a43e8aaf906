//go:build !race

package simulate

// histories is how many histories a test carries out unless it is told.
const histories = 500
