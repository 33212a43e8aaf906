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
	// StartFull starts a full sync in the name of a token; the error is a *status.LiveError while one is live.
	StartFull(ctx context.Context, c container.ID, dryRun bool, by string) (status.Run, error)
	// StartApproved starts a run that carries out what was approved and is still planned, and nothing else.
	StartApproved(ctx context.Context, c container.ID, by string) (status.Run, error)
	// StartRevert starts a run that takes back what another run changed; the error is fault.NotFound where there is no such run, and
	// fault.Conflict, in words for a person, where it cannot be undone.
	StartRevert(ctx context.Context, c container.ID, runID string, dryRun bool, by string) (status.Run, error)
	// StartObject starts the sync of one entry of a source to a provider and returns the job's id.
	StartObject(ctx context.Context, c container.ID, source string, ref directory.Ref, by string) (jobID string, err error)
	// Cancel closes the open run of a container; the error is fault.NotFound when there is none.
	Cancel(ctx context.Context, c container.ID, by string) (status.Run, error)
}

// Directory finds entries among those that a provider is fed from.
type Directory interface {
	// Find returns the entry with the unique id text or, where no entry has it, those whose anchor, username or mail it is.
	Find(ctx context.Context, c container.ID, kind directory.Kind, text string) ([]Match, error)
}

// Explainer says how an entry stands with every source and provider, and why.
type Explainer interface {
	// Explain gathers what is known and asks the live directories and the tenants. What cannot be asked is said in the
	// document; an error means that nothing can be said.
	Explain(ctx context.Context, q explain.Query) (explain.Document, error)
}

// Match is an entry that Directory found.
type Match struct {
	Ref directory.Ref
	// Source is the slug of the source that has the entry.
	Source string
	// Label is what people call the entry.
	Label string
}

// Config is what an API needs. Status, Decisions, Jobs and Directory are required.
type Config struct {
	Status    *status.Store
	Decisions *decisions.Store
	Jobs      Jobs
	Directory Directory
	// Explainer is who answers /explain/; without one that is 404.
	Explainer Explainer
	// Types are the types of provider that there are.
	Types []provider.Type
	// Facts returns what the runs of a container compare themselves with; without it there are no paths for servers.
	Facts func(container.ID) Facts
	// Resources are the configured sources and providers.
	Resources []Resource
	// Authenticate says who holds a token. Nil lets everybody do everything: whoever leaves it out has asked the operator.
	Authenticate Authenticator
	// Dashboard is the web interface of the job queues, at and below DashboardRoot; nil is none. It is no part of the JSON API: it
	// sees to who may enter by itself, and answers people.
	Dashboard http.Handler
	Log       *slog.Logger // default: discard
	// RequestTime is how long a request may take over everything it reads, beside the wait for an object job and for an
	// explanation. Default 4.5 s.
	RequestTime time.Duration
	// ObjectWait is how long a single-object sync is waited for. Default 20 s.
	ObjectWait time.Duration
	// TaskMessages is how many messages a run shows in the sync status, the newest ones. Default 100.
	TaskMessages int
	// EventEvery is how often a run is read while its events are listened to. Default 1 s.
	EventEvery time.Duration
	// MaxEventStreams is how many streams of events may be open at once. Default 256.
	MaxEventStreams int
	// MaxExplanations is how many explanations may be asked for at once. Default 8.
	MaxExplanations int
	// Addr is where NewServer listens. Default ":8000".
	Addr string
}

// Defaults and bounds.
const (
	defaultObjectWait   = 20 * time.Second
	defaultTaskMessages = 100
	defaultEventEvery   = time.Second
	defaultEventStreams = 256
	defaultExplanations = 8
	defaultAddr         = ":8000"

	// maxBody is the largest request body, in bytes.
	maxBody = 1 << 20
	// defaultRequestTime leaves half a second of the five within which every route answers.
	defaultRequestTime = 4500 * time.Millisecond
	// explainTime is how long an explanation may take beyond RequestTime.
	explainTime = 30 * time.Second
	// readTime is how long a client may take to send a request.
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

// NewServer returns a server for the API of cfg, with limits on how slowly a client may talk. Its Shutdown ends the streams of events. A program that serves
// more than the API puts its own handler around Server.Handler.
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
