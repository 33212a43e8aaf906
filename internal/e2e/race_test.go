//go:build race

package e2e

// underRace says whether the tests run under the race detector, which makes everything several times slower.
const underRace = true
