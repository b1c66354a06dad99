// Command image makes the container images: with ko, for several platforms, on a base of its own, without a registry and
// without a container runtime. From the root of the repository, as "make image" does:
//
//	go -C hack/image run . -root ../.. -out ../../dist -repository ghcr.io/tokenkeeper -tag v0.1.0 ./cmd/tokenkeeper
//
// Each program becomes an OCI archive of its name, with an SBOM for each platform beside it; images.txt lists the images
// with their digests. The same commit and the same Go give the same bytes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/ko/pkg/build"
)

// options are the flags.
type options struct {
	root, out, repository, tag string
	platforms                  string
	ldflags                    string
	date                       string
	cache                      string
	programs                   []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.root, "root", ".", "`directory` of the repository")
	flags.StringVar(&o.out, "out", "dist", "`directory` to write to")
	flags.StringVar(&o.repository, "repository", "", "where the images belong, without their own `name`: ghcr.io/tokenkeeper")
	flags.StringVar(&o.tag, "tag", "", "`tag` of the images")
	flags.StringVar(&o.platforms, "platforms", "linux/amd64,linux/arm64", "`platforms`, separated by commas")
	flags.StringVar(&o.ldflags, "ldflags", "", "`flags` of the linker")
	flags.StringVar(&o.date, "date", "", "`time` of the commit, RFC 3339, which is that of the images; default 1970")
	flags.StringVar(&o.cache, "cache", "", "`directory` for Debian's packages; default in the user's cache")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.programs = flags.Args(); len(o.programs) == 0 || o.repository == "" || o.tag == "" {
		return o, errors.New("-repository, -tag and at least one program are needed, such as ./cmd/tokenkeeper")
	}
	if o.cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("finding the user's cache (set HOME, or -cache): %w", err)
		}
		o.cache = filepath.Join(user, "tokenkeeper", "debian")
	}
	return o, nil
}

// run makes every image.
func run(ctx context.Context, o options) error {
	platforms, err := parsePlatforms(o.platforms)
	if err != nil {
		return err
	}
	base, packages, err := baseImage(ctx, o.cache, platforms)
	if err != nil {
		return fmt.Errorf("making the base image: %w", err)
	}
	builder, err := newBuilder(ctx, o, base)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	var list strings.Builder
	for _, program := range o.programs {
		digest, err := o.make(ctx, builder, program)
		if err != nil {
			return fmt.Errorf("making the image of %s: %w", program, err)
		}
		fmt.Fprintf(&list, "%s:%s@%s\n", o.image(program), o.tag, digest)
	}
	if err := completeSBOMs(o.out, packages); err != nil {
		return err
	}
	fmt.Print(list.String())
	return os.WriteFile(filepath.Join(o.out, "images.txt"), []byte(list.String()), 0o644)
}

func parsePlatforms(list string) ([]v1.Platform, error) {
	var platforms []v1.Platform
	for text := range strings.SplitSeq(list, ",") {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return nil, fmt.Errorf("-platforms: %w", err)
		}
		platforms = append(platforms, *platform)
	}
	return platforms, nil
}

// newBuilder is ko with our base. Version control is not stamped: version, commit and date come by -ldflags, so that a
// build from an archive of the sources, as in the Dockerfile, gives the same binary.
func newBuilder(ctx context.Context, o options, base v1.ImageIndex) (build.Interface, error) {
	created, err := time.Parse(time.RFC3339, o.date)
	if err != nil && o.date != "" {
		return nil, fmt.Errorf("-date: %w", err)
	}
	if created.IsZero() {
		created = time.Unix(0, 0)
	}
	reference, err := name.ParseReference(o.repository + "/base:" + o.tag)
	if err != nil {
		return nil, fmt.Errorf("-repository: %w", err)
	}
	builder, err := build.NewGo(ctx, o.root,
		build.WithBaseImages(func(context.Context, string) (name.Reference, build.Result, error) {
			return reference, base, nil
		}),
		build.WithPlatforms(strings.Split(o.platforms, ",")...),
		build.WithTrimpath(true),
		build.WithDefaultFlags([]string{"-buildvcs=false"}),
		build.WithDefaultEnv([]string{"CGO_ENABLED=0", "GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT="}),
		build.WithLdflags([]string{o.ldflags}),
		build.WithCreationTime(v1.Time{Time: created.UTC()}),
		build.WithKoDataCreationTime(v1.Time{Time: created.UTC()}),
		build.WithSPDX(koVersion()),
		build.WithSBOMDir(o.out),
		build.WithUser(user),
		build.WithLabel("org.opencontainers.image.source", "https://github.com/tokenkeeper/tokenkeeper"),
		build.WithLabel("org.opencontainers.image.licenses", "Apache-2.0"),
		build.WithLabel("org.opencontainers.image.version", o.tag),
	)
	if err != nil {
		return nil, fmt.Errorf("preparing ko: %w", err)
	}
	return builder, nil
}

// koVersion is the version of ko that go.mod pins; the SBOM names it as its author.
func koVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/google/ko" {
				return module.Version
			}
		}
	}
	return "unknown"
}

// image is the name of a program's image.
func (o options) image(program string) string {
	return o.repository + "/" + path.Base(program)
}

// make builds a program for every platform, and writes its archive.
func (o options) make(ctx context.Context, builder build.Interface, program string) (v1.Hash, error) {
	reference, err := builder.QualifyImport(program)
	if err != nil {
		return v1.Hash{}, err
	}
	result, err := builder.Build(ctx, reference)
	if err != nil {
		return v1.Hash{}, err
	}
	index, ok := result.(v1.ImageIndex)
	if !ok {
		image, ok := result.(v1.Image)
		if !ok {
			return v1.Hash{}, fmt.Errorf("ko made a %T", result)
		}
		index = indexOf(image)
	}
	if err := writeArchive(filepath.Join(o.out, path.Base(program)+".tar"), o.image(program), o.tag, index); err != nil {
		return v1.Hash{}, err
	}
	return index.Digest()
}
