# Compares two arrays that npy_print.sh printed: -v tolerance=T EXPECTED ACTUAL. The tolerance is
# relative to the largest expected number, so an array of zeros only equals zeros. Prints what
# differs first, and is silent if nothing does.

FNR == 1 { ++file }
file == 1 { expected[FNR] = $0; n_expected = FNR }
file == 2 { actual[FNR] = $0; n_actual = FNR }

function finite(number) { return number !~ /[a-df-z]/ } # neither nan nor inf

function size(number) { return number < 0 ? -number : 0 + number }

END {
    if (file != 2) {
        print "one of the arrays is missing"
        exit
    }
    if (actual[1] != expected[1]) {
        print "is " actual[1] ", expected " expected[1]
        exit
    }
    if (n_actual != n_expected) {
        print "has " n_actual - 1 " numbers, expected " n_expected - 1
        exit
    }
    for (i = 2; i <= n_expected; ++i)
        if (finite(expected[i]) && size(expected[i]) > largest) largest = size(expected[i])
    for (i = 2; i <= n_expected; ++i) {
        near = finite(actual[i]) && finite(expected[i]) &&
            size(actual[i] - expected[i]) <= tolerance * largest
        if (actual[i] "" != expected[i] "" && !near) {
            print "number " i - 2 " is " actual[i] ", expected " expected[i]
            exit
        }
    }
}
