package entra

import (
	"crypto/rand"
	"encoding/base64"
)

// newPassword returns a password that nobody is told: people sign in by SSO, or reset it. It has 240 random bits, and
// each class of characters that a password policy may ask for; Entra takes 8 to 256 characters, of three classes at least.
func newPassword() string {
	secret := make([]byte, 30)
	_, _ = rand.Read(secret) // It never fails: crypto/rand ends the program instead.
	return "aA1-" + base64.RawURLEncoding.EncodeToString(secret)
}
