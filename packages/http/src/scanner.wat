;; Splits field lines, 16 bytes at a time (SIMD); scanner-js.ts is the same in JavaScript. `node scripts/wat.mjs` compiles this to
;; scanner.wasm.ts.
;;
;; Reads up to 32 bytes past the end, and 4 before the start. scanner-wasm.ts fills the tables, and names the results.
(module
  (import "mproxy" "memory" (memory 1))

  ;; Where the tables are. Bytes of a token, by low nibble a bit for each high nibble, and the bit of each high nibble.
  (global $LOW i32 (i32.const 0))
  (global $HIGH i32 (i32.const 16))
  (global $PREFIX i32 (i32.const 32))
  (global $LENGTHS i32 (i32.const 64))
  (global $FOLD i32 (i32.const 256))
  (global $SLOTS i32 (i32.const 512))
  (global $NAMES i32 (i32.const 1024))
  (global $ROWS i32 (i32.const 4096))

  ;; Before the rows, after `scan`: where it stopped, the byte that is wrong, the number of rows, a bit for each known name.
  (global $OUTCOME i32 (i32.const 4080))

  ;; Whether the first bytes (up to 16) are those of a name, `_` read as `-`: 0; 32: a `_` is among them; -1: they are not.
  (func $folds (param $at i32) (param $name i32) (param $length i32) (result i32)
    (local $bytes v128) (local $spelt v128) (local $mask i32)
    (local.set $bytes (v128.load align=1 (local.get $at)))
    (local.set $mask (select
      (i32.sub (i32.shl (i32.const 1) (local.get $length)) (i32.const 1))
      (i32.const 0xffff)
      (i32.lt_u (local.get $length) (i32.const 16))))
    (local.set $spelt (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x5f))))
    ;; Upper case to lower case.
    (local.set $bytes
      (v128.or (local.get $bytes)
        (v128.and
          (v128.and
            (i8x16.ge_u (local.get $bytes) (i8x16.splat (i32.const 0x41)))
            (i8x16.le_u (local.get $bytes) (i8x16.splat (i32.const 0x5a))))
          (i8x16.splat (i32.const 0x20)))))
    (local.set $bytes
      (v128.bitselect (i8x16.splat (i32.const 0x2d)) (local.get $bytes) (local.get $spelt)))
    (if (i32.ne
          (i32.and (local.get $mask)
            (i8x16.bitmask (i8x16.eq (local.get $bytes) (v128.load align=1 (local.get $name)))))
          (local.get $mask))
      (then (return (i32.const -1))))
    (select (i32.const 32) (i32.const 0)
      (i32.and (i8x16.bitmask (local.get $spelt)) (local.get $mask))))

  ;; The number of a known name; 0: none.
  (func $knownName (param $start i32) (param $end i32) (result i32)
    (local $length i32) (local $id i32) (local $name i32) (local $found i32) (local $more i32)
    (local.set $length (i32.sub (local.get $end) (local.get $start)))
    (local.set $id
      (i32.load8_u
        (i32.add (global.get $SLOTS)
          (i32.and (i32.const 255)
            (i32.add (local.get $length)
              (i32.add
                (i32.mul (i32.const 23) (i32.load8_u (i32.add (global.get $FOLD) (i32.load8_u (i32.sub (local.get $end) (i32.const 1))))))
                (select
                  (i32.mul (i32.const 3) (i32.load8_u (i32.add (global.get $FOLD) (i32.load8_u (i32.sub (local.get $end) (i32.const 4))))))
                  (i32.const 0)
                  (i32.ge_u (local.get $length) (i32.const 4)))))))))
    (block $other
      (br_if $other (i32.eqz (local.get $id)))
      (br_if $other
        (i32.ne (local.get $length) (i32.load8_u (i32.add (global.get $LENGTHS) (local.get $id)))))
      (local.set $name (i32.add (global.get $NAMES) (i32.shl (local.get $id) (i32.const 5))))
      (local.set $found (call $folds (local.get $start) (local.get $name) (local.get $length)))
      (br_if $other (i32.lt_s (local.get $found) (i32.const 0)))
      (if (i32.gt_u (local.get $length) (i32.const 16))
        (then
          (local.set $more
            (call $folds (i32.add (local.get $start) (i32.const 16)) (i32.add (local.get $name) (i32.const 16))
              (i32.sub (local.get $length) (i32.const 16))))
          (br_if $other (i32.lt_s (local.get $more) (i32.const 0)))
          (local.set $found (i32.or (local.get $found) (local.get $more)))))
      (return (i32.add (local.get $id) (local.get $found))))
    ;; Any other x-forwarded-.
    (if (i32.and
          (i32.gt_u (local.get $length) (i32.const 12))
          (i32.eq (i32.load8_u (i32.add (global.get $FOLD) (i32.load8_u (local.get $start)))) (i32.const 0x78)))
      (then
        (local.set $found (call $folds (local.get $start) (global.get $PREFIX) (i32.const 12)))
        (if (i32.ge_s (local.get $found) (i32.const 0))
          (then (return (i32.add (i32.const 29) (local.get $found)))))))
    (i32.const 0))

  ;; Writes a row for each field line from `at` on, up to `max`. 0: the empty line was found. 1: a line has not ended. 2 to 5: a name, a
  ;; value or an end is wrong, a line is folded. 7: there are more than `max`.
  (func (export "scan") (param $at i32) (param $end i32) (param $max i32) (result i32)
    (local $start i32) (local $nameEnd i32) (local $value i32) (local $row i32) (local $id i32) (local $byte i32)
    (local $result i32) (local $count i32) (local $known i32) (local $wrong i32)
    (local $bytes v128) (local $found i32) (local $low v128) (local $high v128)
    (local.set $low (v128.load (global.get $LOW)))
    (local.set $high (v128.load (global.get $HIGH)))
    (local.set $row (global.get $ROWS))
    (block $stop
      (loop $line
        (local.set $start (local.get $at))
        (local.set $result (i32.const 1))
        ;; The first byte that is no part of a token.
        (local.set $nameEnd (local.get $at))
        (loop $more
          (local.set $bytes (v128.load align=1 (local.get $nameEnd)))
          (local.set $found
            (i8x16.bitmask
              (i8x16.eq
                (v128.and
                  (i8x16.swizzle (local.get $low) (v128.and (local.get $bytes) (i8x16.splat (i32.const 15))))
                  (i8x16.swizzle (local.get $high) (i8x16.shr_u (local.get $bytes) (i32.const 4))))
                (i8x16.splat (i32.const 0)))))
          (if (i32.eqz (local.get $found))
            (then
              (local.set $nameEnd (i32.add (local.get $nameEnd) (i32.const 16)))
              (br_if $more (i32.lt_u (local.get $nameEnd) (local.get $end)))
              (br $stop))))
        (local.set $nameEnd (i32.add (local.get $nameEnd) (i32.ctz (local.get $found))))
        (br_if $stop (i32.ge_u (local.get $nameEnd) (local.get $end)))
        (local.set $byte (i32.load8_u (local.get $nameEnd)))
        (local.set $wrong (local.get $nameEnd))
        (if (i32.eq (local.get $nameEnd) (local.get $start))
          (then
            (if (i32.eq (local.get $byte) (i32.const 13))
              (then
                (br_if $stop (i32.ge_u (i32.add (local.get $at) (i32.const 1)) (local.get $end)))
                (if (i32.eq (i32.load8_u offset=1 (local.get $at)) (i32.const 10))
                  (then
                    (local.set $start (i32.add (local.get $at) (i32.const 2)))
                    (local.set $result (i32.const 0))
                    (br $stop)))))
            (local.set $result
              (select (i32.const 5)
                (select (i32.const 4) (i32.const 2)
                  (i32.or (i32.eq (local.get $byte) (i32.const 13)) (i32.eq (local.get $byte) (i32.const 10))))
                (i32.or (i32.eq (local.get $byte) (i32.const 0x20)) (i32.eq (local.get $byte) (i32.const 9)))))
            (br $stop)))
        (if (i32.ne (local.get $byte) (i32.const 0x3a))
          (then
            (local.set $result (i32.const 2))
            (br $stop)))
        (local.set $value (i32.add (local.get $nameEnd) (i32.const 1)))
        (block $begins
          (loop $space
            (local.set $byte (i32.load8_u (local.get $value)))
            (br_if $begins
              (i32.and (i32.ne (local.get $byte) (i32.const 0x20)) (i32.ne (local.get $byte) (i32.const 9))))
            (local.set $value (i32.add (local.get $value) (i32.const 1)))
            (br_if $space (i32.lt_u (local.get $value) (local.get $end)))))
        ;; The first byte that is no part of a value: HTAB, 0x20 to 0x7E, 0x80 to 0xFF.
        (local.set $at (local.get $value))
        (loop $more
          (local.set $bytes (v128.load align=1 (local.get $at)))
          (local.set $found
            (i8x16.bitmask
              (v128.or
                (v128.andnot
                  (i8x16.lt_u (local.get $bytes) (i8x16.splat (i32.const 0x20)))
                  (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 9))))
                (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x7f))))))
          (if (i32.eqz (local.get $found))
            (then
              (local.set $at (i32.add (local.get $at) (i32.const 16)))
              (br_if $more (i32.lt_u (local.get $at) (local.get $end)))
              (br $stop))))
        (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $found))))
        (br_if $stop (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (local.set $wrong (local.get $at))
        (if (i32.eq (local.get $byte) (i32.const 13))
          (then (br_if $stop (i32.ge_u (i32.add (local.get $at) (i32.const 1)) (local.get $end)))))
        (if (i32.ne (i32.load16_u align=1 (local.get $at)) (i32.const 0x0a0d))
          (then
            (local.set $result
              (select (i32.const 4) (i32.const 3)
                (i32.or (i32.eq (local.get $byte) (i32.const 13)) (i32.eq (local.get $byte) (i32.const 10)))))
            (br $stop)))
        (if (i32.ge_u (local.get $count) (local.get $max))
          (then
            (local.set $result (i32.const 7))
            (br $stop)))
        (i32.store (local.get $row) (local.get $start))
        (i32.store offset=4 (local.get $row) (local.get $nameEnd))
        (i32.store offset=8 (local.get $row) (local.get $value))
        (local.set $id (call $knownName (local.get $start) (local.get $nameEnd)))
        (i32.store offset=16 (local.get $row) (local.get $id))
        (if (local.get $id)
          (then (local.set $known (i32.or (local.get $known) (i32.shl (i32.const 1) (local.get $id))))))
        ;; Without the white space before the CRLF; before an empty value there may be more.
        (local.set $nameEnd (local.get $at))
        (block $ends
          (loop $space
            (br_if $ends (i32.le_u (local.get $nameEnd) (local.get $value)))
            (local.set $byte (i32.load8_u (i32.sub (local.get $nameEnd) (i32.const 1))))
            (br_if $ends
              (i32.and (i32.ne (local.get $byte) (i32.const 0x20)) (i32.ne (local.get $byte) (i32.const 9))))
            (local.set $nameEnd (i32.sub (local.get $nameEnd) (i32.const 1)))
            (br $space)))
        (i32.store offset=12 (local.get $row) (local.get $nameEnd))
        (local.set $row (i32.add (local.get $row) (i32.const 20)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (br $line)))
    (i32.store (global.get $OUTCOME) (local.get $start))
    (i32.store offset=4 (global.get $OUTCOME) (local.get $wrong))
    (i32.store offset=8 (global.get $OUTCOME) (local.get $count))
    (i32.store offset=12 (global.get $OUTCOME) (local.get $known))
    (local.get $result)))
