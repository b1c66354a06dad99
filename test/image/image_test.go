package image_test

import (
	"bytes"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// everyImage runs a test with the image of each program for each platform.
func everyImage(t *testing.T, test func(t *testing.T, program string, made image)) {
	t.Helper()
	for _, program := range programs {
		images := open(t, first, program).images(t)
		if len(images) != 2 {
			t.Fatalf("%s has %d images, want one for each of two platforms", program, len(images))
		}
		for _, made := range images {
			t.Run(program+" "+made.platform, func(t *testing.T) { test(t, program, made) })
		}
	}
}

func TestTwoBuildsInTwoPlacesAreTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("the short form makes one build")
	}
	files, err := filepath.Glob(filepath.Join(first, "*"))
	if err != nil || len(files) != 1+4*len(programs) {
		t.Fatalf("there are %d files, error %v", len(files), err)
	}
	for _, file := range files {
		one, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(filepath.Join(second, filepath.Base(file)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, two) {
			t.Errorf("%s differs", filepath.Base(file))
		}
	}
}

func TestListNamesImagesByTheirDigests(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(first, "images.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		want := "ghcr.io/tokenkeeper/" + program + ":" + version + "@" + open(t, first, program).index(t) + "\n"
		if !strings.Contains(string(list), want) {
			t.Errorf("the list is\n%swithout %s", list, want)
		}
	}
}

func TestRunsAsANumericUserThatIsNotRoot(t *testing.T) {
	everyImage(t, func(t *testing.T, _ string, made image) {
		if user := made.config.Config.User; !regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`).MatchString(user) {
			t.Errorf("it runs as %q", user)
		}
		if passwd := string(made.files["/etc/passwd"]); !strings.Contains(passwd, ":65532:65532:") {
			t.Errorf("/etc/passwd is %q", passwd)
		}
		if made.config.Created != date {
			t.Errorf("it was made at %s, want the time of the commit", made.config.Created)
		}
	})
}

// Nothing is there that could be run, but for the program, which needs nothing else.
func TestHoldsOneStaticProgram(t *testing.T) {
	everyImage(t, func(t *testing.T, program string, made image) {
		var runnable []string
		for name, text := range made.files {
			if bytes.HasPrefix(text, []byte(elf.ELFMAG)) || bytes.HasPrefix(text, []byte("#!")) {
				runnable = append(runnable, name)
			}
		}
		entrypoint := made.config.Config.Entrypoint
		if len(runnable) != 1 || !slices.Equal(runnable, entrypoint) || runnable[0] != "/ko-app/"+program {
			t.Fatalf("%q can be run, and %q is", runnable, entrypoint)
		}
		binary, err := elf.NewFile(bytes.NewReader(made.files[runnable[0]]))
		if err != nil {
			t.Fatal(err)
		}
		if libraries, err := binary.ImportedLibraries(); len(libraries) > 0 || err != nil {
			t.Errorf("it needs %q, error %v", libraries, err)
		}
		for _, part := range binary.Progs {
			if part.Type == elf.PT_INTERP {
				t.Error("it needs a loader")
			}
		}
		if machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[made.config.Architecture]; binary.Machine != machine {
			t.Errorf("it is for %s in an image for %s", binary.Machine, made.config.Architecture)
		}
	})
}

func TestHoldsAuthoritiesAndTimeZones(t *testing.T) {
	everyImage(t, func(t *testing.T, _ string, made image) {
		authorities := 0
		for block, rest := pem.Decode(made.files["/etc/ssl/certs/ca-certificates.crt"]); block != nil; block, rest = pem.Decode(rest) {
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				t.Errorf("certificate %d: %v", authorities, err)
			}
			authorities++
		}
		if authorities < 100 {
			t.Errorf("it holds %d certificate authorities", authorities)
		}
		for _, zone := range []string{"Europe/Warsaw", "America/New_York", "UTC"} {
			if _, err := time.LoadLocationFromTZData(zone, made.files["/usr/share/zoneinfo/"+zone]); err != nil {
				t.Errorf("%s: %v", zone, err)
			}
		}
	})
}

func TestProgramTellsVersionCommitAndDate(t *testing.T) {
	everyImage(t, func(t *testing.T, program string, made image) {
		if made.platform != "linux/"+runtime.GOARCH || runtime.GOOS != "linux" {
			t.Skip("it does not run here")
		}
		file := filepath.Join(t.TempDir(), program)
		if err := os.WriteFile(file, made.files["/ko-app/"+program], 0o700); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), file, "--version").Output()
		if err != nil {
			t.Fatal(err)
		}
		if want := program + " " + version + " (commit " + commit + ", " + date + ", " + runtime.Version(); !strings.HasPrefix(string(out), want) {
			t.Errorf("it says %q, want %q", out, want)
		}
	})
}

// The Dockerfile calls "make build" on a copy without version control; it must give the program that is in the image.
func TestDockerfileBuildsTheSameProgram(t *testing.T) {
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"make build BIN=/out", "USER 65532:65532", `ENTRYPOINT ["/ko-app/tokenkeeper"]`} {
		if !strings.Contains(string(dockerfile), line) {
			t.Errorf("the Dockerfile lacks %q", line)
		}
	}
	bin := t.TempDir()
	for _, program := range programs {
		if err := callMake(source, "build", "BIN="+bin, "PROGRAMS=./cmd/"+program); err != nil {
			t.Fatal(err)
		}
		built, err := os.ReadFile(filepath.Join(bin, program))
		if err != nil {
			t.Fatal(err)
		}
		for _, made := range open(t, first, program).images(t) {
			if made.platform == "linux/"+runtime.GOARCH && !bytes.Equal(built, made.files["/ko-app/"+program]) {
				t.Errorf("%s of \"make build\" is not that of the image", program)
			}
		}
	}
}

func TestSBOMNamesEveryModuleAndPackage(t *testing.T) {
	everyImage(t, func(t *testing.T, program string, made image) {
		text, err := os.ReadFile(filepath.Join(first, program+"-"+strings.ReplaceAll(made.platform, "/", "-")+".spdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			SPDXVersion string
			Packages    []struct{ Name, VersionInfo string }
		}
		if err := json.Unmarshal(text, &document); err != nil || !strings.HasPrefix(document.SPDXVersion, "SPDX-2.") {
			t.Fatalf("it is %q, error %v", document.SPDXVersion, err)
		}
		listed := map[string]string{}
		for _, one := range document.Packages {
			listed[one.Name] = one.VersionInfo
		}
		info, err := buildinfo.Read(bytes.NewReader(made.files["/ko-app/"+program]))
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range info.Deps {
			if listed[module.Path] != module.Version {
				t.Errorf("%s %s is listed as %q", module.Path, module.Version, listed[module.Path])
			}
		}
		for _, name := range []string{"ca-certificates", "tzdata"} {
			status := string(made.files["/var/lib/dpkg/status.d/"+name])
			if listed[name] == "" || !strings.Contains(status, "\nVersion: "+listed[name]+"\n") {
				t.Errorf("%s is listed as %q, and scanners read %q", name, listed[name], status)
			}
		}
	})
}
