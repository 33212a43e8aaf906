package plan

import (
	"hash/fnv"
	"time"

	"rollcall/directory"
)

// A group is listed again at a moment between these two spans after its last listing, whatever its witness says.
const (
	verifyFirst = 84 * time.Hour
	verifyLast  = 7 * 24 * time.Hour
)

// Confirmed is the ledger's word on a group's members. Listing members is what most remote calls are spent on; while
// the word holds they are not made.
type Confirmed struct {
	// Witness is what the provider showed when the members were listed.
	Witness string `json:"witness"`
	// Members are the remote ids that were listed then, sorted.
	Members []string `json:"members"`
	// VerifyBy is when the members are listed again though the witness did not move; see plan.VerifyBy.
	VerifyBy time.Time `json:"verify_by"`
}

// Holds reports whether the members need not be listed again.
func (c Confirmed) Holds(witness string, now time.Time) bool {
	return witness != "" && c.Witness == witness && now.Before(c.VerifyBy)
}

// VerifyBy returns when a group with members listed now is listed again at the latest, between three and a half and
// seven days later. The moment depends only on the group. Groups that were listed together, as all are by the first
// run, do not come due together.
func VerifyBy(now time.Time, id directory.ID) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	share := float64(mix(h.Sum64())>>11) / (1 << 53)
	return now.Add(verifyFirst + time.Duration(share*float64(verifyLast-verifyFirst))).Truncate(time.Second)
}

// mix spreads ids that differ in their last letters only over all bits (the finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
