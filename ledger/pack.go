package ledger

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"rollcall/plan"
)

// head is the first line of a packed group. The members follow, one per line. Large groups are compressed; 50,000
// Entra ids are 1.8 MB as text and half of that packed.
type head struct {
	Witness  string    `json:"witness"`
	VerifyBy time.Time `json:"verify_by"`
	Members  int       `json:"members"`
	Packed   int       `json:"packed,omitempty"` // bytes when unpacked; zero where the members are plain
}

const minPacked = 512

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil { // Not with this level.
		panic(err)
	}
	return w
}}

var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

func inflate(packed string, size int) (string, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(strings.NewReader(packed), nil); err != nil {
		return "", err
	}
	list := make([]byte, size)
	_, err := io.ReadFull(r, list)
	return string(list), err
}

func pack(c plan.Confirmed) ([]byte, error) {
	for _, m := range c.Members {
		if strings.ContainsRune(m, '\n') {
			return nil, fmt.Errorf("member %q has a line break", m)
		}
	}
	h := head{Witness: c.Witness, VerifyBy: c.VerifyBy, Members: len(c.Members)}
	list := strings.Join(c.Members, "\n")
	if len(list) >= minPacked {
		h.Packed = len(list)
	}
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(append(line, '\n'))
	if h.Packed == 0 {
		b.WriteString(list)
		return b.Bytes(), nil
	}
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(b)
	if _, err := io.WriteString(w, list); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// unpack reads the output of pack. The members share one string, so that ten thousand groups need ten thousand
// allocations and not one per membership.
func unpack(text string) (plan.Confirmed, error) {
	line, list, ok := strings.Cut(text, "\n")
	if !ok {
		return plan.Confirmed{}, errors.New("the first line is missing")
	}
	var h head
	if err := json.Unmarshal([]byte(line), &h); err != nil {
		return plan.Confirmed{}, err
	}
	if h.Packed > 0 {
		var err error
		if list, err = inflate(list, h.Packed); err != nil {
			return plan.Confirmed{}, err
		}
	}
	c := plan.Confirmed{Witness: h.Witness, VerifyBy: h.VerifyBy}
	if h.Members > 0 {
		c.Members = strings.Split(list, "\n")
	}
	if len(c.Members) != h.Members {
		return plan.Confirmed{}, fmt.Errorf("%d members, want %d", len(c.Members), h.Members)
	}
	return c, nil
}
