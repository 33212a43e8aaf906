package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"rollcall/internal/buildinfo"
)

func versionCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which build this is",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := buildinfo.Read()
			_, err := fmt.Fprintf(e.stdout, "rollcall %s, revision %s, %s\n", b.Version, b.Revision, b.Go)
			return err
		},
	}
}
