package deploy_test

import (
	"os"
	"regexp"
	"testing"
)

// unpinned are images that are named by a version alone, because no digest of them was confirmed.
var unpinned = map[string]bool{"grafana/grafana": true}

// TestImagesHaveADigest checks that another image under the same name is not used. What is built here is excepted.
func TestImagesHaveADigest(t *testing.T) {
	t.Parallel()
	image := regexp.MustCompile(`(?m)^(?:FROM (?:--platform=\S+ )?|\s+image: |\s+GO_IMAGE: )([^\s:@]+)(\S*)`)
	digest := regexp.MustCompile(`^:[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}$|^:nonroot@sha256:[0-9a-f]{64}$`)
	version := regexp.MustCompile(`^:v?\d+\.\d+\.\d+[\w.-]*$`)
	n := 0
	for _, file := range []string{"../docker-compose.yml", "Dockerfile", "../.github/workflows/ci.yml",
		"../.github/workflows/release.yml", "../.github/workflows/vulnerabilities.yml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range image.FindAllStringSubmatch(string(text), -1) {
			if n++; m[1] == "rollcall" || digest.MatchString(m[2]) || unpinned[m[1]] && version.MatchString(m[2]) {
				continue
			}
			t.Errorf("%s: the image %s%s needs a version and a digest", file, m[1], m[2])
		}
	}
	if n < 9 {
		t.Errorf("%d images were found, want those of compose, the Dockerfile and the workflows", n)
	}
}
