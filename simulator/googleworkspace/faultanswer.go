package googleworkspace

import (
	"maps"
	"net/http"
)

// shorten is what ShortPage and EmptyList do to a list's answer.
func shorten(f *Fault, items string, value any) any {
	answer, ok := value.(map[string]any)
	if !ok || f.Effect != ShortPage && f.Effect != EmptyList {
		return value
	}
	answer = maps.Clone(answer)
	delete(answer, "nextPageToken")
	list := half(answer[items])
	if list == nil || f.Effect == EmptyList {
		delete(answer, items)
	} else {
		answer[items] = list
	}
	return answer
}

// half returns the first half of a list of any type that an answer holds; nil when nothing is left.
func half(list any) any {
	switch l := list.(type) {
	case []*rendered:
		if len(l) > 1 {
			return l[:len(l)/2]
		}
	case []map[string]any:
		if len(l) > 1 {
			return l[:len(l)/2]
		}
	case []any:
		if len(l) > 1 {
			return l[:len(l)/2]
		}
	}
	return nil
}

// truncate announces the whole answer, sends half of it and closes the connection.
func truncate(w http.ResponseWriter, value any, err *apiError) {
	data := encode(value, err)
	header(w, value, err, len(data))
	w.WriteHeader(status(value, err))
	_, _ = w.Write(data[:len(data)/2])
	_ = http.NewResponseController(w).Flush() // so that the first half arrives; the rest never does
	panic(http.ErrAbortHandler)
}
