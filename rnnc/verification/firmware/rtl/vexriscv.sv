/* SPDX-License-Identifier: 0BSD */
/* VexRiscv, the variant Full (five stages, caches of 4 KB, no compressed instructions), with a memory of 16 MB at 0x80000000
 * that answers in the same cycle. This variant takes addresses from 0x80000000 on for devices: data are not cached there. */
module top (input clk, input rst_n, output store, output [31:0] store_address, output [31:0] store_data);
    logic [31:0] memory [0:4194303];
    initial $readmemh("image.hex", memory);

    logic fetch_cycle, fetch, access_cycle, access, write;
    logic [3:0] lanes;
    logic [29:0] pc, word;
    logic [31:0] stored;
    wire in_memory = word[29:22] == 8'h80;
    wire fetched = fetch_cycle & fetch, answered = access_cycle & access;

    always_ff @(posedge clk)
        if (answered && write && in_memory)
            for (int i = 0; i < 4; i++) if (lanes[i]) memory[word[21:0]][8*i +: 8] <= stored[8*i +: 8];
    assign store = answered & write & ~in_memory;
    assign store_address = {word, 2'b0};
    assign store_data = stored;

    VexRiscv core (
        .externalResetVector(32'h80000000), .timerInterrupt(1'b0), .softwareInterrupt(1'b0), .externalInterruptArray(0),
        .iBusWishbone_CYC(fetch_cycle), .iBusWishbone_STB(fetch), .iBusWishbone_ACK(fetched), .iBusWishbone_WE(),
        .iBusWishbone_ADR(pc), .iBusWishbone_DAT_MISO(memory[pc[21:0]]), .iBusWishbone_DAT_MOSI(),
        .iBusWishbone_SEL(), .iBusWishbone_ERR(1'b0), .iBusWishbone_CTI(), .iBusWishbone_BTE(),
        .dBusWishbone_CYC(access_cycle), .dBusWishbone_STB(access), .dBusWishbone_ACK(answered),
        .dBusWishbone_WE(write), .dBusWishbone_ADR(word), .dBusWishbone_DAT_MISO(memory[word[21:0]]),
        .dBusWishbone_DAT_MOSI(stored), .dBusWishbone_SEL(lanes), .dBusWishbone_ERR(1'b0), .dBusWishbone_CTI(),
        .dBusWishbone_BTE(), .clk(clk), .reset(~rst_n));
endmodule
