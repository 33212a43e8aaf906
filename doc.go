// Package rollcall is the root of the module, and empty: docs/architecture.md says where things are. Its test,
// floors_test.go, keeps the packages on their floors.
package rollcall
