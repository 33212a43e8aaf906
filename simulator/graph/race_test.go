package graph_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/graph"
)

// TestManyClients has several clients write concurrently, with failing items and lost responses, while another one
// follows groups/delta. The follower must end with the tenant's state.
func TestManyClients(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{DeltaPage: 5, DeltaMembers: 9, Faults: []graph.Fault{
		{Method: "members.*", Scope: graph.InBatch, Probability: 0.1, Status: 429},
		{Method: "members.*", Scope: graph.InBatch, Probability: 0.1, Effect: graph.LoseAnswer},
	}})
	users := seedUsers(t, tenant, 40)
	var groups []string
	for i := range 8 {
		groups = append(groups, c.createGroup(fmt.Sprint("g", i)))
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 10 {
				var steps []object
				for j := range 10 {
					u, g := users[(worker*10+i+j)%len(users)], groups[(worker+i*j)%len(groups)]
					steps = append(steps, step(fmt.Sprint("add", j), "POST", "/groups/"+g+"/members/$ref", ref(u)))
					other := groups[(worker+i*j+1)%len(groups)]
					steps = append(steps, step(fmt.Sprint("remove", j), "DELETE", "/groups/"+other+"/members/"+u+"/$ref", nil))
				}
				if r, err := c.try("POST", "$batch", object{"requests": steps}); err != nil || r.Status != 200 {
					t.Errorf("batch: %d %s, %v", r.Status, r.Raw, err)
				}
			}
		})
	}
	state := map[string][]string{}
	items, link, _ := c.round("groups/delta?$select=displayName,members")
	follow(state, items)
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		items, link, _ = c.round(link)
		follow(state, items)
	}
	want := map[string][]string{}
	for _, g := range groups {
		want[g] = tenant.Members(g)
		if state[g] = slices.Clip(state[g]); state[g] == nil {
			state[g] = []string{}
		}
	}
	if diff := cmp.Diff(want, state); diff != "" {
		t.Errorf("members by delta (-want +got):\n%s", diff)
	}
}
