package tokens_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/internal/testclock"
	"rollcall/internal/tokens"
	"rollcall/plan"
)

// hash is that of "secret".
const hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

func TestLookup(t *testing.T) {
	t.Parallel()
	token, line, err := tokens.New("ops@example.com", tokens.Read, tokens.Sync)
	if err != nil || !strings.HasPrefix(token, tokens.Prefix) || len(token) != len(tokens.Prefix)+43 ||
		strings.Contains(line, token) {
		t.Fatalf("New() = %q, %q, %v", token, line, err)
	}
	l, err := tokens.Parse([]byte("# who may call\n\nold read " + hash + " # from last year\n" + line + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	who, ok := l.Lookup(token, time.Now())
	if !ok || who.Name != "ops@example.com" || !who.May(tokens.Sync) || who.May(tokens.Approve) || l.Len() != 2 {
		t.Errorf("Lookup() = %+v, %v", who, ok)
	}
	if who, ok := l.Lookup("secret", time.Now()); !ok || who.Name != "old" {
		t.Errorf("Lookup() = %+v, %v", who, ok)
	}
	for _, wrong := range []string{"", "Secret", "secret ", hash, token[:len(token)-1]} {
		if who, ok := l.Lookup(wrong, time.Now()); ok {
			t.Errorf("Lookup(%q) = %+v", wrong, who)
		}
	}
	var nobody tokens.List
	if _, ok := nobody.Lookup("secret", time.Now()); ok {
		t.Error("the zero list knows somebody")
	}
}

// What a token was used to begin is known by its mark, until the token is taken out or made anew.
func TestRecall(t *testing.T) {
	t.Parallel()
	_, anew, err := tokens.New("old", tokens.Read)
	if err != nil {
		t.Fatal(err)
	}
	parse := func(text string) *tokens.List {
		l, err := tokens.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	before := parse("old read " + hash)
	who, _ := before.Lookup("secret", time.Now())
	mark := who.Mark()
	if mark == "" || strings.Contains(hash, mark) {
		t.Errorf("Mark() = %q", mark)
	}
	if who, ok := parse("renamed sync "+hash).Recall(mark, time.Now()); !ok || who.Name != "renamed" ||
		!who.May(tokens.Sync) {
		t.Errorf("Recall() = %+v, %v, want the token as it stands now", who, ok)
	}
	for _, other := range []string{"", anew} {
		if who, ok := parse(other).Recall(mark, time.Now()); ok {
			t.Errorf("Recall() = %+v in the file %q", who, other)
		}
	}
	for _, wrong := range []string{"", hash, strings.TrimPrefix(hash, "sha256:"), "secret"} {
		if who, ok := before.Recall(wrong, time.Now()); ok {
			t.Errorf("Recall(%q) = %+v", wrong, who)
		}
	}
	if who, ok := before.Lookup(mark, time.Now()); ok {
		t.Errorf("the mark is taken for a token: %+v", who)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, _, err := tokens.New("two words", tokens.Read); err == nil {
		t.Error("a name with a blank is accepted")
	}
	if _, _, err := tokens.New("ops"); err == nil {
		t.Error("a token without scopes is accepted")
	}
	if _, _, err := tokens.New("ops", "root"); err == nil {
		t.Error("an unknown scope is accepted")
	}
}

func TestParseReportsEveryLine(t *testing.T) {
	t.Parallel()
	other := strings.Replace(hash, "2b", "3b", 1)
	l, err := tokens.Parse([]byte(strings.Join([]string{
		"# comment",
		"ops read " + hash,
		"ops read " + other,
		"twin sync " + hash,
		"short read",
		"many read " + other + " until=friday",
		"late read " + other + " expires=31.12.2030",
		"where read " + other + " only=corp",
		"bad/name read " + other,
		"root admin " + other,
		"again read,read " + other,
		"plain read rct_dG9rZW4",
		"hex read sha256:zz",
		"cut read oidc:C#team",
		"tail read oidc:C # a comment with # twice",
	}, "\n")))
	want := `line 3: the name ops is taken by line 2
line 4: the token is that of line 2
line 5: it has 2 parts, want name scope[,scope] sha256:<hex>
line 6: after the hash it has a part that is neither expires=<date> nor only=<container>[,<container>]
line 7: expires: want a date such as 2030-12-31, or a time such as 2030-12-31T18:00:00Z
line 8: only: want ldap:<slug> for a source or <type>:<id> for a provider, with commas
line 9: the name has to be 1 to 64 letters, digits or . _ @ -
line 10: the second part has to be scopes: read, sync or approve, with commas
line 11: the scope read stands there twice
line 12: the third part has to be sha256:<hex>; the token itself does not belong here
line 13: the hash has to be 64 hexadecimal digits
line 14: after oidc: it has a #: write %23 if the value has it, or a blank before a comment`
	if err == nil || err.Error() != want {
		t.Errorf("Parse() =\n%v\nwant\n%s", err, want)
	}
	if who, ok := l.Lookup("secret", time.Now()); !ok || who.Name != "ops" || l.Len() != 2 {
		t.Errorf("the one right line gives %+v, %v, and the list has %d", who, ok, l.Len())
	}
	if strings.Contains(fmt.Sprint(err), "dG9rZW4") {
		t.Error("the error shows a token")
	}
}

func TestFileIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	put := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	put("ops read "+hash+"\n", 0o600)
	c := testclock.At(time.Now())
	f, err := tokens.Open(tokens.FileConfig{Path: path, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	who, _ := f.Lookup("secret")
	known := func() bool {
		_, ok := f.Lookup("secret")
		if _, recalled := f.Recall(who.Mark()); recalled != ok {
			t.Errorf("the token is known: %v, its mark: %v", ok, recalled)
		}
		return ok
	}
	if !known() || f.Err() != nil || f.Warning() != "" {
		t.Fatalf("known %v, %v, %q", known(), f.Err(), f.Warning())
	}
	put("# nobody any more\n", 0o600)
	if !known() {
		t.Error("the file is looked at more often than every second")
	}
	c.Advance(time.Second)
	if known() {
		t.Error("a token that was taken out still works")
	}
	put("ops read "+hash+"\n# back again\n", 0o600)
	c.Advance(time.Second)
	if !known() {
		t.Error("a token that was put in does not work")
	}
	put("nonsense\nops read "+hash+"\n", 0o600)
	c.Advance(time.Second)
	if !known() || f.Err() == nil {
		t.Errorf("a wrong line takes the others with it, or goes unnoticed: %v", f.Err())
	}
	put("nonsense\n", 0o600)
	c.Advance(time.Second)
	if known() || f.Err() == nil {
		t.Errorf("a token that was taken out still works beside a wrong line: %v", f.Err())
	}
	put("ops read "+hash+"\n", 0o666)
	c.Advance(time.Second)
	if known() || f.Err() == nil || !strings.Contains(f.Err().Error(), "every user can write") {
		t.Errorf("Err() = %v", f.Err())
	}
	put("ops read "+hash+"\n", 0o644)
	c.Advance(time.Second)
	if !known() || f.Err() != nil || !strings.Contains(f.Warning(), "every user can read") {
		t.Errorf("Err() = %v, Warning() = %q", f.Err(), f.Warning())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Second)
	if known() || f.Err() == nil {
		t.Errorf("a token of a file that is gone still works: %v", f.Err())
	}
	put("ops read "+hash+"\n", 0o600)
	c.Advance(time.Second)
	if !known() || f.Err() != nil {
		t.Errorf("the file is there again, and the token does not work: %v", f.Err())
	}
}

// A change of the file and the end of a line are told without a request.
func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("ops read " + hash + " expires=2030-01-01T00:00:10Z\n")
	c := testclock.At(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	f, err := tokens.Open(tokens.FileConfig{Path: path, Now: c.Now, Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { f.Watch(ctx, func() {}) })
	for _, change := range []func(){
		func() { put("ops sync " + hash + " expires=2030-01-01T00:00:10Z\n"); c.Advance(time.Second) },
		func() { c.Advance(10 * time.Second) },
		func() { _ = os.Remove(path); c.Advance(time.Second) },
	} {
		told := f.Changed()
		change()
		<-told
	}
	stop()
	watching.Wait()
}

func TestATokenExpires(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"expires=2030-12-31":                               "2031-01-01T00:00:00Z",
		"expires=2030-12-31T18:00:00Z":                     "2030-12-31T18:00:00Z",
		"expires=2030-12-31T18:00:00+02:00 only=ldap:corp": "2030-12-31T16:00:00Z",
	} {
		l, err := tokens.Parse([]byte("ops read " + hash + " " + text))
		if err != nil {
			t.Fatal(err)
		}
		end, err := time.Parse(time.RFC3339, want)
		if err != nil {
			t.Fatal(err)
		}
		who, before := l.Lookup("secret", end.Add(-time.Second))
		_, after := l.Lookup("secret", end)
		_, recalled := l.Recall(who.Mark(), end)
		if !before || after || recalled {
			t.Errorf("%s: known before %v, after %v, its mark %v", text, before, after, recalled)
		}
	}
}

func TestATokenReachesItsContainers(t *testing.T) {
	t.Parallel()
	l, err := tokens.Parse([]byte("ops read " + hash + " only=ldap:corp,ldap:lab"))
	if err != nil {
		t.Fatal(err)
	}
	who, _ := l.Lookup("secret", time.Now())
	if !who.Reaches("ldap:lab") || who.Reaches("ldap:other") || who.Reaches("") || !who.Restricted() {
		t.Errorf("%+v reaches other containers than its own", who)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"writable": 0o602, "readable": 0o604} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("ops read "+hash), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.Open(tokens.FileConfig{Path: path, Strict: true}); err == nil ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("%s: Open() = %v", name, err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "nowhere")} {
		if _, err := tokens.Open(tokens.FileConfig{Path: path}); err == nil {
			t.Errorf("%s is accepted", path)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("ops read,sync " + hash + " # x\n"))
	f.Add([]byte("\x00 , :"))
	f.Add([]byte("ops read rct_aGVsbG8gd29ybGQhIGhlbGxvIHdvcmxkISBoZWxsbyB3\n" +
		"rct_aGVsbG8gd29ybGQhIGhlbGxvIHdvcmxkISBoZWxsbyB3 x y"))
	f.Add([]byte("ops rct_aGVsbG8gd29ybGQhIGhlbGxvIHdvcmxkISBoZWxsbyB3 " + hash + "\nops read " + hash + " only=rct_" +
		"aGVsbG8gd29ybGQhIGhlbGxvIHdvcmxkISBoZWxsbyB3"))
	f.Add([]byte("staff read,approve oidc:a%20b only=ldap:corp,\x1b[2J expires=2030-01-01T00:00:00Z\nstaff read oidc:#\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := tokens.Parse(data)
		if l == nil {
			t.Fatalf("Parse() = nil, %v", err)
		}
		if err != nil { // A line may hold the token itself.
			for word := range strings.FieldsSeq(string(data)) {
				if len(word) > 40 && strings.Contains(err.Error(), word) {
					t.Errorf("Parse() = %v, which shows %q", err, word)
				}
			}
			if plan.Clean(strings.ReplaceAll(err.Error(), "\n", " ")) != strings.ReplaceAll(err.Error(), "\n", " ") {
				t.Errorf("Parse() = %q, want no control characters", err)
			}
		}
		for _, token := range []string{"", string(data)} {
			if who, known := l.Lookup(token, time.Now()); known {
				t.Errorf("Lookup(%q) = %+v", token, who)
			}
		}
	})
}
