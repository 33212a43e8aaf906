package simulate

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestHistories carries out histories that broke a promise once, or that a draw makes seldom.
func TestHistories(t *testing.T) {
	began := event{what: "sync source", then: 30 * time.Second}
	slow := []hazard{{place: atTenant, kind: delayed, nth: 3, calls: 30, long: 20 * time.Second}}
	for name, h := range map[string]history{
		"a person is re-created and renamed before a run sees it, with an employee number": {
			setup{people: 5, groups: 1, skews: []time.Duration{0}},
			[]event{
				began, {what: "re-create", a: 2, then: time.Second}, {what: "rename", a: 2, b: 3, then: time.Second},
				{what: "sync source", then: 50 * time.Second},
			},
		},
		"a person is re-created and renamed before a run sees it, without a number": {
			setup{people: 5, groups: 1, skews: []time.Duration{0}},
			[]event{
				began, {what: "re-create", a: 1, then: time.Second}, {what: "rename", a: 1, b: 3, then: time.Second},
				{what: "sync source", then: 50 * time.Second},
			},
		},
		"a re-created person swaps the name with another, and a part of the suspensions is approved": {
			setup{people: 5, groups: 3, skews: []time.Duration{0, 20 * time.Second}, deletes: true},
			[]event{
				began, {what: "re-create", a: 1, then: time.Second}, {what: "swap", a: 4, b: 1, then: 40 * time.Second},
				{what: "undo", then: 2 * time.Hour}, {what: "sync provider", then: 34 * day},
				{what: "approve part", then: 44 * time.Second}, {what: "approve part", then: 52 * time.Second},
			},
		},
		"a person is re-created, and a group is synced before a run sees it": {
			setup{people: 3, groups: 2, skews: []time.Duration{0}},
			[]event{
				began, {what: "re-create", a: 0, then: time.Second}, {what: "sync group", b: 0, then: 7 * time.Second},
				{what: "sync provider", then: 20 * time.Second},
			},
		},
		"all people leave": {
			setup{people: 2, groups: 2, skews: []time.Duration{0}, marks: true, deletes: true},
			[]event{
				began, {what: "leave", a: 0, then: 15 * time.Minute}, {what: "leave", a: 1, then: 18 * time.Hour},
				{what: "approve all", then: time.Minute}, {what: "sync provider", then: time.Minute},
			},
		},
		"full reads of the directory lack a person": {
			setup{people: 5, groups: 2, skews: []time.Duration{0}, deletes: true},
			[]event{
				began, {what: "sync source", then: time.Minute, hazards: []hazard{
					{place: atSource + " " + short, kind: short, nth: 1, calls: 30}}},
				{what: "sync provider", then: time.Minute},
			},
		},
		"an order to leave is given while the account is being made": {
			setup{people: 3, groups: 1, skews: []time.Duration{0}},
			[]event{
				{what: "sync source", then: 5 * time.Second, hazards: slow}, {what: "order to leave", a: 0, then: time.Minute},
			},
		},
		"an order to leave is given after a run has planned the account": {
			setup{people: 8, groups: 1, skews: []time.Duration{0}},
			[]event{
				{what: "sync source", then: 5 * time.Second, hazards: slow}, {what: "order to leave", a: 7, then: time.Minute},
			},
		},
		"the provider is paused while it is written and asked what changed": {
			setup{people: 8, groups: 1, skews: []time.Duration{0, 0}, delta: true},
			[]event{
				{what: "sync source", then: 5 * time.Second, hazards: slow}, {what: "pause", a: 1, then: time.Minute},
				{what: "leave", a: 2, then: time.Minute}, {what: "resume", a: 1, then: time.Minute},
			},
		},
		"a worker whose host is a month behind starts while Redis answers late or not": {
			setup{people: 4, groups: 2, skews: []time.Duration{0, 0, skewOf(5, 0)}, deletes: true},
			[]event{
				{what: "refuse", a: 5, b: 10, then: 11 * time.Second, hazards: []hazard{
					{place: redisBeside, kind: full, nth: 1, calls: 1, long: 20 * time.Second}}},
				{what: "add worker", a: 5, b: 1, then: 2 * time.Second, hazards: []hazard{
					{place: redisBeside, kind: delayed, nth: 60, calls: 1, long: 40 * time.Second},
					{place: redisInTask, kind: lost, nth: 4, calls: 30, long: 20 * time.Second}}},
				{what: "add worker", a: 6, b: 2, then: 4 * time.Second},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { h.play(t) })
		})
	}
}
