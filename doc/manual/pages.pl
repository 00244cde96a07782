#!/usr/bin/perl
# SPDX-License-Identifier: BSD-3-Clause
#
# pages.pl calls belay.h FOLDER            man pages, section 3, of every call, struct and enumeration of the header
# pages.pl commands FOLDER COMMAND...      man pages, section 1, from what 'COMMAND --help' prints
#
# The header's comments and the tool's own help are the only source: nothing is told twice. Pages are in mdoc(7). Every
# declaration must have a comment: its own (before or behind it) or one of the group that it stands in.
use strict;
use warnings;
use POSIX qw(strftime);

my ($mode, @arguments) = @ARGV;
my $date = strftime('%B %e, %Y', gmtime($ENV{SOURCE_DATE_EPOCH} // time));
$date =~ s/  / /;

my @uncommented;    # calls

# ---- Writing mdoc

# Text of a line: no escapes, no requests; `code`, @p name and name() stand out.
sub inline {
    my ($text) = @_;
    $text =~ s/\\/\\e/g;
    $text =~ s/`([^`]+)`/\\fB$1\\fR/g;
    $text =~ s/\@p +(\w+)/\\fI$1\\fR/g;
    $text =~ s/(?<![\w*])\*(\w+)\*(?!\w)/\\fI$1\\fR/g;
    $text =~ s/\b(belay_\w+)\(\)/\\fB$1\\fR(3)/g;
    $text =~ s/^([.'])/\\&$1/mg;
    return $text;
}

# A sentence per line, as mdoc wants it.
sub sentences {
    my ($text) = @_;
    $text =~ s/([A-Za-z0-9_)\]`'*"][.!?]) +(?=[A-Z`@])/$1\n/g;
    return inline($text);
}

sub page {
    my ($folder, $name, $section, $body) = @_;
    open(my $file, '>', "$folder/$name.$section") or die "pages.pl: $folder/$name.$section: $!\n";
    my $title = uc $name;
    print $file ".\\\" Made by doc/manual/pages.pl; do not edit.\n.Dd $date\n.Dt $title $section\n.Os Belay\n$body";
    close $file or die "pages.pl: $folder/$name.$section: $!\n";
}

# ---- Reading comments

# The lines of a comment without its frame.
sub comment_text {
    my ($comment) = @_;
    $comment =~ s{^\s*/\*\*?<?}{};
    $comment =~ s{\*/\s*$}{};
    $comment =~ s{^[ \t]*\* ?}{}mg;
    $comment =~ s/^\s+|\s+$//g;
    return $comment;
}

# Paragraphs, parameters, result and errors of a comment.
sub parse_comment {
    my ($text) = @_;
    my %parsed = (paragraphs => [], params => [], returns => '');
    for my $block (split /\n\s*\n/, $text) {
        # A tag may stand within a line of text: it begins a piece of its own.
        for my $piece (split /\s*(?=\@param|\@return|\@file)|\n(?=Errors: )/, $block) {
            $piece =~ s/\s*\n\s*(?!-)/ /g;
            $piece =~ s/\n\s*(?=- )/\n/g;
            $piece =~ s/^\s+|\s+$//g;
            next if $piece eq '';
            if ($piece =~ /^\@param(?:\[(\w+)\])? +(\w+) +(.*)/s) {
                push @{$parsed{params}}, [$2, $1 // '', $3];
            } elsif ($piece =~ /^\@return +(.*)/s) {
                $parsed{returns} .= ucfirst $1;
            } elsif ($piece =~ /^\@file \S+ *(.*)/s) {
                push @{$parsed{paragraphs}}, $1 if length $1;
            } elsif (length $piece) {
                push @{$parsed{paragraphs}}, $piece;
            }
        }
    }
    return \%parsed;
}

# The short title: the first sentence, as mdoc's .Nd has it.
sub headline {
    my ($text) = @_;
    $text =~ s/[`]//g;
    $text =~ s/\@p //g;
    $text =~ s/\s+/ /g;
    $text =~ s/,? for example .*|[.:;] .*|\.$//;
    $text =~ s/\b(belay_\w+)\(\)/$1/g;
    return lcfirst $text;
}

# ---- The header

# Every declaration with its comment, section and group, in order.
sub read_header {
    my ($path) = @_;
    open(my $file, '<', $path) or die "pages.pl: $path: $!\n";
    my $text = do { local $/; <$file> };
    my %header = (items => [], sections => [], codes => {}, overview => '');
    my ($section, $group, $doc) = ('', '', '');
    while ($text =~ /\G\s*/gc, pos($text) < length $text) {
        if ($text =~ m{\G/\* -+ (.*?) -+ \*/}gc) {
            ($section, $group, $doc) = ($1, '', '');
            push @{$header{sections}}, $section;
        } elsif ($text =~ m{\Gtypedef struct \w+ \w+;[ \t]*(/\*\*<.*?\*/)?}gcs) {
            $doc = ''; # an opaque type: what is said of it is no call's
        } elsif ($text =~ m{\G(/\*\*<.*?\*/)}gcs) {
            # Behind a call: what it gives.
            $header{items}[-1]{doc} ||= '@return ' . comment_text($1) if @{$header{items}};
        } elsif ($text =~ m{\G(/\*\*.*?\*/)}gcs) {
            $doc = comment_text($1);
            if ($doc =~ /^\@file/) {
                ($header{overview}, $doc) = ($doc, '');
            }
        } elsif ($text =~ m{\G(/\*.*?\*/)}gcs) {
            $group = comment_text($1);
        } elsif ($text =~ /\G#[^\n]*/gc || $text =~ /\Gextern "C" \{/gc || $text =~ /\G\}/gc) {
            ;
        } elsif ($text =~ /\G((?:typedef )?(enum|struct) (\w+) \{(.*?)\n\}\s*\w*;)/gcs) {
            push @{$header{items}}, {kind => $2, name => $3, source => $1, body => $4, doc => $doc,
                section => $section, group => ''};
            $doc = '';
        } elsif ($text =~ /\G(typedef [^;]*?\(\*(\w+)\)\([^;]*\);)/gcs) {
            push @{$header{items}}, {kind => 'handler', name => $2, source => $1, doc => $doc, section => $section,
                group => ''};
            $doc = '';
        } elsif ($text =~ /\Gtypedef struct (\w+) \w+;/gc) {
            $doc = '';
        } elsif ($text =~ /\G(([\w ]+?[ *]+)(belay_\w+)\((.*?)\);)/gcs) {
            push @{$header{items}}, {kind => 'call', type => $2, name => $3, parameters => $4, doc => $doc,
                section => $section, group => $group};
            $doc = '';
        } else {
            $text =~ /\G([^\n]*)/gc;
            die "pages.pl: $path: not understood: $1\n";
        }
    }
    for my $enum (grep { $_->{name} eq 'belay_result' } @{$header{items}}) {
        while ($enum->{body} =~ /(BELAY_(?:ERR_)?\w+)\s*=\s*(-?\d+),?\s*(?:\/\*\*<\s*(.*?)\s*\*\/)?/gs) {
            $header{codes}{$1} = [$2, ($3 // 'success') =~ s/\s*\n\s*\*?\s*/ /gr];
        }
    }
    return \%header;
}

# Codes that a text names, with their prefix or, behind "Errors:", without.
sub codes_in {
    my ($header, $text) = @_;
    my %found;
    $found{$1} = 1 while $text =~ /\b(BELAY_ERR_\w+)/g;
    while ($text =~ /Errors[^:]*: ([^.]*)/g) {
        my $list = $1;
        while ($list =~ /\b([A-Z][A-Z_]+)\b/g) {
            $found{"BELAY_ERR_$1"} = 1 if $header->{codes}{"BELAY_ERR_$1"};
        }
    }
    while ($text =~ /\b([A-Z_]{4,})\b/g) {
        $found{"BELAY_ERR_$1"} = 1 if $header->{codes}{"BELAY_ERR_$1"};
    }
    return grep { $header->{codes}{$_} } sort { $header->{codes}{$b}[0] <=> $header->{codes}{$a}[0] } keys %found;
}

sub paragraphs {
    my @blocks;
    for my $paragraph (@_) {
        my @lines = split /\n(?=- )/, $paragraph;
        my $block = '';
        $block .= sentences(shift @lines) . "\n" unless $lines[0] =~ /^- /;
        if (@lines) {
            $block .= ".Bl -dash -compact\n" . join('', map { ".It\n" . sentences(s/^- //r) . "\n" } @lines) . ".El\n";
        }
        push @blocks, $block;
    }
    return join(".Pp\n", @blocks);
}

sub synopsis_of {
    my ($call) = @_;
    my $type = $call->{type} =~ s/\s+$//r;
    my @parameters = split /\s*,\s*(?![^(]*\))/, $call->{parameters} =~ s/\s+/ /gr;
    return ".In belay.h\n.Ft \"$type\"\n.Fo $call->{name}\n" . join('', map { ".Fa \"$_\"\n" } @parameters) . ".Fc\n";
}

sub errors_of {
    my ($header, $text) = @_;
    my @codes = codes_in($header, $text);
    return '' unless @codes;
    return ".Sh ERRORS\n.Bl -tag -width Ds\n"
        . join('', map { ".It Dv $_\n" . sentences(ucfirst $header->{codes}{$_}[1]) . ".\n" } @codes) . ".El\n";
}

sub see_also {
    my ($header, $item) = @_;
    my @others = sort grep { $_ ne $item->{name} }
        map { $_->{name} } grep { $_->{section} eq $item->{section} } @{$header->{items}};
    return ".Sh SEE ALSO\n" . join(" ,\n", map { ".Xr $_ 3" } 'belay', @others) . "\n";
}

sub call_page {
    my ($header, $call) = @_;
    my $own = parse_comment($call->{doc});
    my $base = $call->{name} =~ s/_nb$//r;
    my ($of) = grep { $_->{name} eq $base } @{$header->{items}};
    my $headline = @{$own->{paragraphs}} ? headline($own->{paragraphs}[0]) : '';
    $headline = headline($own->{returns}) if $headline eq '' && $own->{returns} ne '';
    $headline = "begin $base without waiting for its end" if $headline eq '' && $base ne $call->{name};
    push @uncommented, $call->{name} if $headline eq "";

    my @text = @{$own->{paragraphs}};
    push @text, "Begins what $base() does and gives a request for it. The parameters are those of $base(), but for the last."
        if !@text && $of && $base ne $call->{name};
    push @text, 'Gives ' . $headline . '.' if !@text;
    my $group = parse_comment($call->{group});
    my $page = ".Sh NAME\n.Nm $call->{name}\n.Nd " . inline($headline) . "\n.Sh SYNOPSIS\n" . synopsis_of($call);
    $page .= ".Sh DESCRIPTION\n" . paragraphs(@text);
    if (@{$own->{params}}) {
        $page .= ".Bl -tag -width Ds\n";
        $page .= ".It Fa $_->[0]" . ($_->[1] eq 'out' ? " No (output)" : '') . "\n" . sentences($_->[2]) . "\n"
            for @{$own->{params}};
        $page .= ".El\n";
    }
    $page .= ".Sh RETURN VALUES\n";
    my $result = $own->{returns};
    $result = "BELAY_OK or an error: a negative number, for which belay_strerror() has the text." if $result eq '' && $call->{type} =~ /^int/;
    $result = "A $call->{type}." if $result eq '';
    $page .= paragraphs($result);
    $page .= errors_of($header, join("\n", $call->{doc}, $call->{group}, $own->{params} ? map { $_->[2] } @{$own->{params}} : ()));
    $page .= ".Sh NOTES\n" . paragraphs(@{$group->{paragraphs}}) if @{$group->{paragraphs}};
    return $page . see_also($header, $call);
}

sub type_page {
    my ($header, $type) = @_;
    my $own = parse_comment($type->{doc});
    my $headline = @{$own->{paragraphs}} ? headline($own->{paragraphs}[0]) : "$type->{kind} of belay.h: " . lc $type->{section};
    my $page = ".Sh NAME\n.Nm $type->{name}\n.Nd " . inline($headline) . "\n.Sh SYNOPSIS\n.In belay.h\n.Bd -literal\n";
    $page .= join("\n", map { s/\\/\\e/gr =~ s/^([.'])/\\&$1/r } split /\n/, $type->{source}) . "\n.Ed\n";
    $page .= ".Sh DESCRIPTION\n";
    my @text = @{$own->{paragraphs}};
    push @text, "Belongs to the section \"$type->{section}\" of the header; the comments above say what each part means." unless @text;
    push @text, "Returns: $own->{returns}" if $own->{returns} ne '';
    return $page . paragraphs(@text) . see_also($header, $type);
}

sub overview_page {
    my ($header) = @_;
    my $own = parse_comment($header->{overview});
    my $page = ".Sh NAME\n.Nm belay\n.Nd replicated in-memory key-value cache for the processes of an MPI job\n";
    $page .= ".Sh LIBRARY\nlibbelay; pkg-config belay\n.Sh SYNOPSIS\n.In belay.h\n.Sh DESCRIPTION\n" . paragraphs(@{$own->{paragraphs}});
    for my $section (@{$header->{sections}}) {
        my @items = grep { $_->{section} eq $section } @{$header->{items}};
        next unless @items;
        $page .= ".Ss $section\n.Bl -tag -width Ds -compact\n";
        for my $item (@items) {
            my $parsed = parse_comment($item->{doc});
            my $first = $parsed->{paragraphs}[0] // $parsed->{returns};
            $page .= ".It Xr $item->{name} 3\n";
            $page .= inline(headline($first)) . "\n" if length $first;
        }
        $page .= ".El\n";
    }
    $page .= ".Sh RETURN VALUES\nCalls give\n.Dv BELAY_OK\nor one of these, for which\n.Xr belay_strerror 3\nhas the text.\n.Bl -tag -width Ds\n";
    for my $code (sort { $header->{codes}{$b}[0] <=> $header->{codes}{$a}[0] } keys %{$header->{codes}}) {
        $page .= ".It Dv $code No ( $header->{codes}{$code}[0] )\n" . sentences(ucfirst $header->{codes}{$code}[1]) . ".\n";
    }
    return "$page.El\n.Sh SEE ALSO\n.Xr belay 1 ,\n.Xr belay-run 1\n";
}

# ---- Commands

# Paragraphs of help text: a line that begins with spaces and a dash is an option, one behind many spaces its text.
sub command_page {
    my ($name, $help, $others) = @_;
    my ($usage, $rest) = $help =~ /\AUsage: (.*?)\n((?:.*\n?)*)\z/ or die "pages.pl: $name --help begins without Usage\n";
    my ($headline, @blocks) = ('');
    my @usages = ($usage);
    push @usages, $1 while $rest =~ s/\A +or: +(.*)\n//;
    my $open = '';
    for my $line (split /\n/, $rest) {
        if ($line =~ /^ {2,}(-\S.*?)(?: {2,}(\S.*))?$/ || $line =~ /^ {2}((?!-)[a-z][\w ]*?) {2,}(\S.*)$/) {
            push @blocks, ['item', $1, $2 // ''];
            $open = 'item';
        } elsif ($line =~ /^ {10,}(\S.*)$/ && $open eq 'item') {
            $blocks[-1][2] .= " $1";
        } elsif ($line =~ /^\s*$/) {
            $open = '';
        } elsif ($open eq 'text') {
            $blocks[-1][1] .= " $line";
        } else {
            push @blocks, ['text', $line];
            $open = 'text';
        }
    }
    my ($first) = grep { $_->[0] eq 'text' } @blocks;
    $headline = headline($first->[1]);
    my $page = ".Sh NAME\n.Nm $name\n.Nd " . inline($headline) . "\n.Sh SYNOPSIS\n" . join(".br\n", map { inline($_) . "\n" } @usages);
    $page .= ".Sh DESCRIPTION\n";
    my ($list, $exit) = (0, '');
    for my $block (@blocks) {
        if ($block->[0] eq 'item') {
            $page .= ".Bl -tag -width Ds\n" unless $list++;
            $page .= ".It " . ($block->[1] =~ /^-/ ? 'Li' : 'Cm') . ' "' . ($block->[1] =~ s/\\/\\e/gr) . "\"\n";
            $page .= sentences($block->[2]) . "\n" if $block->[2] ne '';
            next;
        }
        $page .= ".El\n" if $list;
        $list = 0;
        if ($block->[1] =~ s/(?:^|(?<=\. ))Exit status: (.*)//) {
            $exit = $1;
        }
        next if $block->[1] =~ /^Mandatory or optional arguments|^\s*$/;
        $page .= ".Pp\n" . sentences($block->[1]) . "\n";
    }
    $page .= ".El\n" if $list;
    $page =~ s/\.Sh DESCRIPTION\n\.Pp\n/.Sh DESCRIPTION\n/;
    die "pages.pl: $name --help says nothing about the exit status\n" if $exit eq '';
    $page .= ".Sh EXIT STATUS\n" . sentences($exit) . "\n";
    return $page . ".Sh SEE ALSO\n" . join(" ,\n", map { ".Xr $_ 1" } sort grep { $_ ne $name } @$others) . " ,\n.Xr belay 3\n";
}

sub help_of {
    my (@command) = @_;
    open(my $pipe, '-|', @command, '--help') or die "pages.pl: $command[0]: $!\n";
    my $help = do { local $/; <$pipe> };
    close $pipe or die "pages.pl: @command --help fails\n";
    return $help;
}

sub commands {
    my ($folder, @programs) = @_;
    my %pages;
    for my $program (@programs) {
        my $name = $program =~ s{.*/}{}r;
        $pages{$name} = help_of($program);
        next unless $pages{$name} =~ /^Commands:\n((?: .*\n)+)/m;
        $pages{"$name-$_"} = help_of($program, $_) for $1 =~ /^  ([a-z]+) /mg;
    }
    page($folder, $_, 1, command_page($_, $pages{$_}, [keys %pages])) for keys %pages;
}

if ($mode eq 'calls' && @arguments == 2) {
    my $header = read_header($arguments[0]);
    page($arguments[1], 'belay', 3, overview_page($header));
    for my $item (@{$header->{items}}) {
        page($arguments[1], $item->{name}, 3, $item->{kind} eq 'call' ? call_page($header, $item) : type_page($header, $item));
    }
    die "pages.pl: no comment on: @uncommented\n" if @uncommented;
} elsif ($mode eq 'commands' && @arguments >= 2) {
    commands(@arguments);
} else {
    die "Usage: pages.pl calls HEADER FOLDER | pages.pl commands FOLDER PROGRAM...\n";
}
