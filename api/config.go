package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/provider"
	"rollcall/status"
)

// Jobs starts and cancels work.
type Jobs interface {
	// StartFull starts a full sync in the name of a token. The error is a *status.LiveError while another run is
	// live.
	StartFull(ctx context.Context, c container.ID, dryRun bool, by string) (status.Run, error)
	// StartApproved starts a run that executes only approved changes, if they are still planned.
	StartApproved(ctx context.Context, c container.ID, by string) (status.Run, error)
	// StartRevert starts a run that undoes the changes of another run. The error is fault.NotFound for an unknown
	// run, and fault.Conflict, with a text for people, if the run cannot be undone.
	StartRevert(ctx context.Context, c container.ID, runID string, dryRun bool, by string) (status.Run, error)
	// StartObject starts the sync of one entry of a source to a provider. It returns the id of the job.
	StartObject(ctx context.Context, c container.ID, source string, ref directory.Ref, by string) (jobID string, err error)
	// Cancel closes the open run of a container. The error is fault.NotFound if there is none.
	Cancel(ctx context.Context, c container.ID, by string) (status.Run, error)
}

// Directory finds entries in the sources of a provider.
type Directory interface {
	// Find returns the entry with the unique id text. If there is none, it returns the entries with this anchor,
	// username or mail address.
	Find(ctx context.Context, c container.ID, kind directory.Kind, text string) ([]Match, error)
}

// Explainer explains the state of an entry at every source and provider.
type Explainer interface {
	// Explain asks the live directories and the tenants. The document lists what did not answer. An error means that
	// there is no document.
	Explain(ctx context.Context, q explain.Query) (explain.Document, error)
}

// Match is an entry that Directory found.
type Match struct {
	Ref directory.Ref
	// Source is the slug of the source that has the entry.
	Source string
	// Label is the name of the entry for people.
	Label string
}

// Config configures an API. Status, Decisions, Jobs and Directory are required.
type Config struct {
	Status    *status.Store
	Decisions *decisions.Store
	Jobs      Jobs
	Directory Directory
	// Explainer answers /explain/. Nil makes that path 404.
	Explainer Explainer
	// Types are the known types of provider.
	Types []provider.Type
	// Facts returns the stored facts of a container. Nil removes the paths of servers.
	Facts func(container.ID) Facts
	// Resources are the configured sources and providers.
	Resources []Resource
	// Authenticate returns the holder of a token. Nil permits every request, and the operator must have asked for
	// that.
	Authenticate Authenticator
	// Dashboard is the web interface of the job queues, at and below DashboardRoot; nil is none. It is not part of
	// the JSON API and has access control of its own.
	Dashboard http.Handler
	Log       *slog.Logger // default: discard
	// RequestTime is the time limit of a request, without the wait for an object job or an explanation. Default 4.5
	// s.
	RequestTime time.Duration
	// ObjectWait is how long a request waits for a single-object sync. Default 20 s.
	ObjectWait time.Duration
	// TaskMessages is the number of newest messages of a run in the sync status. Default 100.
	TaskMessages int
	// EventEvery is the interval at which an event stream reads its run. Default 1 s.
	EventEvery time.Duration
	// MaxEventStreams is the largest number of open event streams. Default 256.
	MaxEventStreams int
	// MaxExplanations is the largest number of concurrent requests for explanations. Default 8.
	MaxExplanations int
	// Addr is the address of NewServer. Default ":8000".
	Addr string
}

// Defaults and limits.
const (
	defaultObjectWait   = 20 * time.Second
	defaultTaskMessages = 100
	defaultEventEvery   = time.Second
	defaultEventStreams = 256
	defaultExplanations = 8
	defaultAddr         = ":8000"

	// maxBody is the largest request body, in bytes.
	maxBody = 1 << 20
	// defaultRequestTime leaves half a second of the five-second limit of every route.
	defaultRequestTime = 4500 * time.Millisecond
	// explainTime is the time limit of an explanation beyond RequestTime.
	explainTime = 30 * time.Second
	// readTime is the time limit for reading a request.
	readTime = 30 * time.Second
)

func (c Config) withDefaults() (Config, error) {
	if c.Status == nil || c.Decisions == nil || c.Jobs == nil || c.Directory == nil {
		return c, errors.New("api: Status, Decisions, Jobs and Directory are needed")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.ObjectWait <= 0 {
		c.ObjectWait = defaultObjectWait
	}
	if c.RequestTime <= 0 {
		c.RequestTime = defaultRequestTime
	}
	if c.TaskMessages <= 0 {
		c.TaskMessages = defaultTaskMessages
	}
	if c.EventEvery <= 0 {
		c.EventEvery = defaultEventEvery
	}
	if c.MaxEventStreams <= 0 {
		c.MaxEventStreams = defaultEventStreams
	}
	if c.MaxExplanations <= 0 {
		c.MaxExplanations = defaultExplanations
	}
	if c.Addr == "" {
		c.Addr = defaultAddr
	}
	return c, nil
}

// NewServer returns a server for the API of cfg with limits for slow clients. Its Shutdown ends the event streams. A
// program that serves other paths, too, wraps Server.Handler.
func NewServer(cfg Config) (*http.Server, error) {
	a, err := New(cfg)
	if err != nil {
		return nil, err
	}
	srv := &http.Server{
		Addr:              a.cfg.Addr,
		Handler:           a,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTime,
		WriteTimeout:      max(a.cfg.ObjectWait, explainTime) + readTime + a.cfg.RequestTime, // longer than any handler works
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelWarn),
	}
	srv.RegisterOnShutdown(a.events.stop)
	return srv, nil
}
