# Compares two arrays that npy_print.sh printed: -v tolerance=T EXPECTED ACTUAL. The tolerance is
# relative to the largest expected number; zeros only equal zeros. Prints what differs first, and is
# silent if nothing does.

FNR == 1 { ++file }
file == 1 { expected[FNR] = $0; n_expected = FNR }
file == 2 { actual[FNR] = $0; n_actual = FNR }

function size(number) { return number < 0 ? -number : number }

END {
    if (actual[1] != expected[1]) {
        print "is " actual[1] ", expected " expected[1]
        exit
    }
    if (n_actual != n_expected) {
        print "has " n_actual - 1 " numbers, expected " n_expected - 1
        exit
    }
    for (i = 2; i <= n_expected; ++i)
        if (size(expected[i]) > largest) largest = size(expected[i])
    for (i = 2; i <= n_expected; ++i) {
        finite = actual[i] expected[i] !~ /[a-df-z]/
        near = finite && size(actual[i] - expected[i]) <= tolerance * largest
        if (actual[i] != expected[i] && !near) {
            print "number " i - 2 " is " actual[i] ", expected " expected[i]
            exit
        }
    }
}
