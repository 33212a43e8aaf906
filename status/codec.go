package status

import (
	"strings"

	"rollcall/container"
)

// decodeRun decodes a run from the fields of its hash. A run without fields has no ID.
func decodeRun(c container.ID, f map[string]string) Run {
	return Run{
		ID:        f["id"],
		Container: c,
		Mode:      Mode(f["mode"]),
		DryRun:    f["dry_run"] == "1",
		Trigger:   Trigger{Kind: TriggerKind(f["trigger"]), By: f["by"], Of: f["of"]},
		State:     State(f["state"]),

		CreatedAt:      fromMS(f["created_at"]),
		StartedAt:      fromMS(f["started_at"]),
		FinishedAt:     fromMS(f["finished_at"]),
		DeferredUntil:  fromMS(f["deferred_until"]),
		DeferReason:    f["defer_reason"],
		Outage:         Outage{Times: parseInt(f["outages"]), Since: fromMS(f["outage_since"])},
		ExpiresAt:      fromMS(f["expires_at"]),
		KeptUntil:      fromMS(f["kept_until"]),
		LastProgressAt: fromMS(f["last_progress_at"]),

		Worker:  f["worker"],
		Epoch:   parseInt(f["epoch"]),
		Resumes: parseInt(f["resumes"]),

		Progress:      decodeProgress(f),
		Read:          decodeRead(f),
		Held:          parseInt(f["held"]),
		FailedChanges: parseInt(f["failed"]),
		Faults:        decodeFaults(f),
		Calls:         parseInt(f["calls"]),
		Messages:      parseInt(f["messages"]),
		PlanDigest:    f["plan_digest"],
		ReadAt:        fromMS(f["read_at"]),
		Changed:       f["changed"] == "1",
		PlannedAt:     fromMS(f["planned_at"]),

		FailReason:  f["fail_reason"],
		FailKind:    f["fail_kind"],
		CancelledBy: f["cancelled_by"],

		Cursor:     Cursor(parseInt(f["seq"])),
		doneAtPlan: parseInt(f["done_at_plan"]),
	}
}

// Counters are fields of the hash. The fields s:user:create, f:user:create and e:user:create count successful, failed
// and expected changes. The field k:conflict counts failures by the kind of error, and r:user counts entries that
// were read.
func counter(letter string, o ObjectType, c ChangeType) string {
	return strings.Join([]string{letter, string(o), string(c)}, ":")
}

func decodeProgress(f map[string]string) []Progress {
	out := []Progress{}
	for _, o := range ObjectTypes() {
		for _, c := range ChangeTypes() {
			p := Progress{
				Object: o, Change: c,
				Succeeded: parseInt(f[counter("s", o, c)]),
				Failed:    parseInt(f[counter("f", o, c)]),
				Expected:  parseInt(f[counter("e", o, c)]),
			}
			if p.Succeeded != 0 || p.Failed != 0 || p.Expected != 0 {
				out = append(out, p)
			}
		}
	}
	return out
}

func decodeRead(f map[string]string) map[ObjectType]int64 {
	var out map[ObjectType]int64
	for _, o := range ObjectTypes() {
		if n := parseInt(f["r:"+string(o)]); n != 0 {
			if out == nil {
				out = map[ObjectType]int64{}
			}
			out[o] = n
		}
	}
	return out
}

func decodeFaults(f map[string]string) map[string]int64 {
	var out map[string]int64
	for name, n := range f {
		if kind, ok := strings.CutPrefix(name, "k:"); ok {
			if out == nil {
				out = map[string]int64{}
			}
			out[kind] = parseInt(n)
		}
	}
	return out
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
