package directory_test

import (
	"testing"

	"rollcall/directory"
)

func TestUnmappable(t *testing.T) {
	t.Parallel()
	for attribute, refused := range map[string]bool{
		"userPassword": true, "USERPASSWORD;x-md5": true, "2.5.4.35": true, "unicodePwd": true, "sambaNTPassword": true,
		"krbPrincipalKey": true, "ipaNTHash": true, "passwordHash": true, "ms-Mcs-AdmPwd": true, "msLAPS-Password": true,
		"jpegPhoto": true, "thumbnailPhoto": true,
		"title": false, "pwdLastSet": false, "pwdAccountLockedTime": false, "krbPrincipalName": false,
		"passwordExpirationTime": false, "userAccountControl": false,
	} {
		if got := directory.Unmappable(attribute); (got != "") != refused {
			t.Errorf("Unmappable(%q) = %q, want refused: %t", attribute, got, refused)
		}
	}
}
