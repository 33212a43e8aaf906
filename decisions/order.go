package decisions

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/stored"
	"rollcall/plan"
)

// Orders of persons stand until they are lifted, for every container. So their key belongs to no container.
var leaveKey = stored.Prefix("orders") + "leave"

const purposeLeave = "leave"

// Leave makes an order stand. It replaces an earlier one for the same user. It is stored as JSON, after the id of the
// key and the signature in hex where there are keys.
func (s *Store) Leave(ctx context.Context, o plan.Order) error {
	keys, err := s.keys()
	if err != nil {
		return err
	}
	o.By = stored.Cut(o.By, maxName)
	text, err := orderText(keys, o)
	if err != nil {
		return fault.New(fault.Internal, "decisions: leave", err)
	}
	return redisFault("leave", s.rdb.HSet(ctx, leaveKey, o.Ref.String(), text).Err())
}

// orderText returns an order as it is stored.
func orderText(keys []Key, o plan.Order) ([]byte, error) {
	text, err := json.Marshal(o)
	if err == nil && len(keys) > 0 {
		text = fmt.Appendf(nil, "%s %x %s", keys[0].id, keys[0].sign(purposeLeave, "", text), text)
	}
	return text, err
}

// Orders are the orders that are stored.
type Orders struct {
	// Leave are those that stand, sorted by user.
	Leave []plan.Order
	// Untrusted are the users with an order that is not signed or was changed, and the reason.
	Untrusted map[directory.Ref]string
}

// Of returns the order for a user, or nil.
func (o *Orders) Of(ref directory.Ref) *plan.Order {
	if i := slices.IndexFunc(o.Leave, func(x plan.Order) bool { return x.Ref == ref }); i >= 0 {
		return &o.Leave[i]
	}
	return nil
}

// Orders returns the orders that are stored.
func (s *Store) Orders(ctx context.Context) (out Orders, err error) {
	keys, err := s.keys()
	if err != nil {
		return out, err
	}
	all, err := s.rdb.HGetAll(ctx, leaveKey).Result()
	if err != nil {
		return out, redisFault("orders", err)
	}
	for _, field := range slices.Sorted(maps.Keys(all)) {
		ref, ok := plan.ParseRef(field)
		if !ok || len(all[field]) > maxRecord {
			continue // It is not of ours.
		}
		o, problem := openOrder(keys, all[field])
		if problem == "" && o.Ref != ref {
			problem = notTheSame
		}
		if problem == "" {
			s.signAgain(ctx, keys, all[field], o)
			out.Leave = append(out.Leave, o)
			continue
		}
		if out.Untrusted == nil {
			out.Untrusted = map[directory.Ref]string{}
		}
		out.Untrusted[ref] = problem
	}
	slices.SortFunc(out.Leave, func(a, b plan.Order) int { return a.Ref.Compare(b.Ref) })
	return out, nil
}

// signAgain signs a valid order anew if an earlier key signed it, so that this key can be removed. An order that was
// lifted or replaced meanwhile stays as it is. After an error the next one to read it tries again.
func (s *Store) signAgain(ctx context.Context, keys []Key, text string, o plan.Order) {
	if len(keys) == 0 || strings.HasPrefix(text, keys[0].id+" ") {
		return
	}
	again, err := orderText(keys, o)
	if err != nil {
		return
	}
	_ = s.rdb.Watch(ctx, func(tx *redis.Tx) error {
		if now, err := tx.HGet(ctx, leaveKey, o.Ref.String()).Result(); err != nil || now != text {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			return p.HSet(ctx, leaveKey, o.Ref.String(), again).Err()
		})
		return err
	}, leaveKey)
}

// openOrder reads an order, and says what is wrong with it.
func openOrder(keys []Key, text string) (o plan.Order, problem string) {
	if !strings.HasPrefix(text, "{") {
		id, rest, _ := strings.Cut(text, " ")
		sum, data, _ := strings.Cut(rest, " ")
		mac, err := hex.DecodeString(sum)
		switch {
		case err != nil:
			return o, notReadable
		case len(keys) > 0:
			if err := verify(keys, id, purposeLeave, "", []byte(data), mac); err != nil {
				return o, err.Error()
			}
		}
		text = data
	} else if len(keys) > 0 {
		return o, notSigned
	}
	if json.Unmarshal([]byte(text), &o) != nil {
		return o, notReadable
	}
	return o, ""
}

// EndLeaves ends the orders for these users.
func (s *Store) EndLeaves(ctx context.Context, refs ...directory.Ref) error {
	if len(refs) == 0 {
		return nil
	}
	fields := make([]string, len(refs))
	for i, ref := range refs {
		fields[i] = ref.String()
	}
	return redisFault("end leaves", s.rdb.HDel(ctx, leaveKey, fields...).Err())
}
