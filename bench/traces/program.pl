# SPDX-License-Identifier: GPL-2.0
# What was recorded as perl.trace: the words of a text, counted, and which word
# follows which.
use strict;
use warnings;

my (%count, %after);
my ($file, $lines) = @ARGV;
open(my $text, '<', $file) or die "$file: $!";
my $last = '';
while (my $line = <$text>) {
	last if $. > $lines;
	for my $word (map { lc } $line =~ /[A-Za-z]+/g) {
		$count{$word}++;
		push @{$after{$last}{$word}}, $.;
		$last = $word;
	}
}
my @top = (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 99];
for my $word (@top) {
	my $next = $after{$word} // {};
	my @most = sort { @{$next->{$b}} <=> @{$next->{$a}} } keys %$next;
	printf "%s: %s\n", $word, join(' ', splice(@most, 0, 5));
}
